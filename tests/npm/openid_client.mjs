// node openid_client.mjs ISSUER CLIENT_ID [SECRET]: signs a person in with npm's openid-client, as its documentation says.
// Prints a line of JSON for each step; the address to which the browser came back is read from standard input.
import { createInterface } from "node:readline/promises";
import * as client from "openid-client";

const [, , issuer, clientId, secret] = process.argv;
const redirect = "http://localhost:5001/callback";
const bye = "http://localhost:5001/bye";
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (step, value) => console.log(JSON.stringify({ step, ...value }));

const authentication = secret ? client.ClientSecretBasic(secret) : client.None();
const config = await client.discovery(new URL(issuer), clientId, undefined, authentication, {
  execute: [client.allowInsecureRequests], // plain HTTP on loopback
});
const verifier = client.randomPKCECodeVerifier();
const [state, nonce] = [client.randomState(), client.randomNonce()];
const url = client.buildAuthorizationUrl(config, {
  redirect_uri: redirect,
  scope: "openid profile email groups offline_access",
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
  nonce,
  max_age: "3600",
});
say("authorize", { url: url.href });

const back = new URL((await lines.next()).value);
const tokens = await client.authorizationCodeGrant(config, back, {
  pkceCodeVerifier: verifier,
  expectedState: state,
  expectedNonce: nonce,
  maxAge: 3600,
  idTokenExpected: true,
});
say("tokens", { claims: tokens.claims(), has_refresh: Boolean(tokens.refresh_token), type: tokens.token_type });
const claims = tokens.claims();
say("userinfo", { claims: await client.fetchUserInfo(config, tokens.access_token, claims.sub) });

const again = await client.refreshTokenGrant(config, tokens.refresh_token);
say("refreshed", { claims: again.claims(), is_new: again.access_token !== tokens.access_token });
say("userinfo again", { claims: await client.fetchUserInfo(config, again.access_token, claims.sub) });

const end = client.buildEndSessionUrl(config, {
  id_token_hint: again.id_token,
  post_logout_redirect_uri: bye,
  state: "s2",
});
say("logout", { url: end.href });
process.exit(0);
