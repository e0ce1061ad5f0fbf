// The official MCP client: signs in at the URL it is given, calls a tool, refreshes its token, and calls it again.
import { createServer } from "node:http";
import { once } from "node:events";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { refreshAuthorization, discoverOAuthServerInfo } from "@modelcontextprotocol/sdk/client/auth.js";

const url = new URL(process.argv[2]);
let code;
const listener = createServer((request, response) => {
  const asked = new URL(request.url, "http://127.0.0.1"); // the browser asks for an icon as well
  if (asked.pathname === "/callback") code = asked.searchParams.get("code");
  response.end("Signed in.");
});
listener.listen(0, "127.0.0.1");
await once(listener, "listening");
const redirectUrl = `http://127.0.0.1:${listener.address().port}/callback`;

const provider = {
  redirectUrl,
  clientMetadata: {
    client_name: "SDK client",
    redirect_uris: [redirectUrl],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  },
  clientInformation() { return this.client; },
  saveClientInformation(client) { this.client = client; },
  tokens() { return this.saved; },
  saveTokens(tokens) { this.saved = tokens; },
  redirectToAuthorization(page) { console.log(page.href); },
  saveCodeVerifier(verifier) { this.verifier = verifier; },
  codeVerifier() { return this.verifier; },
};

async function whoami() {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(new StreamableHTTPClientTransport(url, { authProvider: provider }));
  const answer = await client.callTool({ name: "whoami", arguments: {} });
  console.log(JSON.stringify(answer.structuredContent));
  await client.close();
}

const first = new StreamableHTTPClientTransport(url, { authProvider: provider });
const asking = new Client({ name: "test", version: "1" });
await asking.connect(first).catch(() => {});
while (code === undefined) await new Promise((resolve) => setTimeout(resolve, 50));
await first.finishAuth(code);
await whoami();
const { authorizationServerUrl, authorizationServerMetadata } = await discoverOAuthServerInfo(url);
provider.saved = await refreshAuthorization(authorizationServerUrl, {
  metadata: authorizationServerMetadata,
  clientInformation: provider.client,
  refreshToken: provider.saved.refresh_token,
  resource: url,
});
await whoami();
listener.close();
listener.closeAllConnections();
