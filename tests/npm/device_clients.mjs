// node device_clients.mjs openid-client|oauth4webapi ISSUER CLIENT_ID [SECRET]: signs a person in on a terminal without a
// browser (RFC 8628), as each library's documentation says. Prints a line of JSON for each step.
import * as client from "openid-client";
import * as oauth from "oauth4webapi";

const [, , library, issuer, clientId, secret] = process.argv;
const asked = { scope: "openid email read", resource: `${issuer}/mcp` };
const say = (step, value) => console.log(JSON.stringify({ step, ...value }));

const tell = (tokens, claims) =>
  say("tokens", { access_token: tokens.access_token, scope: tokens.scope, has_refresh: Boolean(tokens.refresh_token), claims });

async function withOpenidClient() {
  const authentication = secret ? client.ClientSecretBasic(secret) : client.None();
  const config = await client.discovery(new URL(issuer), clientId, undefined, authentication, {
    execute: [client.allowInsecureRequests], // plain HTTP on loopback
  });
  const codes = await client.initiateDeviceAuthorization(config, asked);
  say("codes", codes);
  const tokens = await client.pollDeviceAuthorizationGrant(config, codes);
  tell(tokens, tokens.claims());
  const again = await client.refreshTokenGrant(config, tokens.refresh_token);
  say("refreshed", { scope: again.scope });
}

async function withOauth4webapi() {
  const plain = { [oauth.allowInsecureRequests]: true };
  const as = await oauth.processDiscoveryResponse(new URL(issuer), await oauth.discoveryRequest(new URL(issuer), plain));
  const me = { client_id: clientId };
  const authentication = secret ? oauth.ClientSecretPost(secret) : oauth.None();
  const asking = await oauth.deviceAuthorizationRequest(as, me, authentication, asked, plain);
  const codes = await oauth.processDeviceAuthorizationResponse(as, me, asking);
  say("codes", codes);
  for (let interval = codes.interval; ; ) {
    await new Promise((resolve) => setTimeout(resolve, interval * 1000));
    const answer = await oauth.deviceCodeGrantRequest(as, me, authentication, codes.device_code, plain);
    try {
      const tokens = await oauth.processDeviceCodeResponse(as, me, answer);
      await oauth.validateApplicationLevelSignature(as, answer, plain);
      tell(tokens, oauth.getValidatedIdTokenClaims(tokens));
      const refreshing = await oauth.refreshTokenGrantRequest(as, me, authentication, tokens.refresh_token, plain);
      say("refreshed", { scope: (await oauth.processRefreshTokenResponse(as, me, refreshing)).scope });
      return;
    } catch (error) {
      if (error.error === "slow_down") interval += 5;
      else if (error.error !== "authorization_pending") throw error;
    }
  }
}

try {
  await (library === "openid-client" ? withOpenidClient() : withOauth4webapi());
} catch (error) {
  say("refused", { error: error.error ?? error.cause?.error ?? String(error) });
}
