// node oauth4webapi_client.mjs ISSUER CLIENT_ID [SECRET]: the same with npm's oauth4webapi, which checks what it is told.
import { createInterface } from "node:readline/promises";
import * as oauth from "oauth4webapi";

const [, , issuerText, clientId, secret] = process.argv;
const redirect = "http://localhost:5001/callback";
const bye = "http://localhost:5001/bye";
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (step, value) => console.log(JSON.stringify({ step, ...value }));
const plain = { [oauth.allowInsecureRequests]: true }; // plain HTTP on loopback

const issuer = new URL(issuerText);
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, plain));
const me = { client_id: clientId };
const authentication = secret ? oauth.ClientSecretPost(secret) : oauth.None();
const verifier = oauth.generateRandomCodeVerifier();
const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
const url = new URL(as.authorization_endpoint);
for (const [name, value] of Object.entries({
  client_id: clientId,
  redirect_uri: redirect,
  response_type: "code",
  scope: "openid profile email groups offline_access",
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
  nonce,
})) url.searchParams.set(name, value);
say("authorize", { url: url.href });

const back = new URL((await lines.next()).value);
const params = oauth.validateAuthResponse(as, me, back, state); // demands `iss` (RFC 9207), since the metadata has it
const answer = await oauth.authorizationCodeGrantRequest(as, me, authentication, params, redirect, verifier, plain);
const tokens = await oauth.processAuthorizationCodeResponse(as, me, answer, { expectedNonce: nonce, requireIdToken: true });
await oauth.validateApplicationLevelSignature(as, answer, plain);
const claims = oauth.getValidatedIdTokenClaims(tokens);
say("tokens", { claims, has_refresh: Boolean(tokens.refresh_token), type: tokens.token_type });

const userinfo = async (token) =>
  oauth.processUserInfoResponse(as, me, claims.sub, await oauth.userInfoRequest(as, me, token, plain));
say("userinfo", { claims: await userinfo(tokens.access_token) });

const refreshing = await oauth.refreshTokenGrantRequest(as, me, authentication, tokens.refresh_token, plain);
const again = await oauth.processRefreshTokenResponse(as, me, refreshing);
await oauth.validateApplicationLevelSignature(as, refreshing, plain);
say("refreshed", {
  claims: oauth.getValidatedIdTokenClaims(again),
  is_new: again.access_token !== tokens.access_token,
});
say("userinfo again", { claims: await userinfo(again.access_token) });

const end = new URL(as.end_session_endpoint);
end.searchParams.set("id_token_hint", again.id_token);
end.searchParams.set("post_logout_redirect_uri", bye);
end.searchParams.set("state", "s2");
say("logout", { url: end.href });
process.exit(0);
