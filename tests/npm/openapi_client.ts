// node openapi_client.js URL KEY: calls through types that openapi-typescript made of /openapi.json (herod.ts).
// Prints what was answered. Without the types' help nothing here compiles: every path, field and status is checked.
import createClient from "openapi-fetch";
import type { components, paths } from "./herod.js";

declare const process: { argv: string[] };

const [, , baseUrl, key] = process.argv;
if (!baseUrl || !key) throw new Error("usage: openapi_client URL KEY");

const stranger = createClient<paths>({ baseUrl });
const admin = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });

function given<T>({ data, error }: { data?: T; error?: unknown }): T {
  if (data === undefined) throw new Error(JSON.stringify(error));
  return data;
}

const health = given(await stranger.GET("/health"));
const added = given(await admin.POST("/users/add", { body: { name: "typed", scope: "write" } }));
const basic = { client_id: added.client_id, client_secret: added.client_secret };
const token = given(
  await stranger.POST("/token", {
    body: { grant_type: "client_credentials", scope: "read", ...basic },
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
  }),
);
const validated = given(await stranger.POST("/validate", { body: { token: token.access_token, scope: "read" } }));
const made = given(await admin.POST("/api/v1/keys", { body: { name: "typed", kind: "service", scope: "read" } }));
const users: components["schemas"]["User"][] = given(
  await admin.GET("/api/v1/users", { params: { query: { limit: 200 } } }),
).data;
const call = { jsonrpc: "2.0", id: 1, method: "keys.get", params: { id: made.data.id } } as const;
const { data: answer } = await admin.POST("/rpc", { body: call });
const deleted = given(await admin.POST("/users/delete", { body: { client_id: added.client_id } }));
const missing = await admin.GET("/api/v1/users/{client_id}", { params: { path: { client_id: added.client_id } } });
const refused = await stranger.GET("/api/v1/users");

// @ts-expect-error neither of both that exclude each other is too few
const nobody = await admin.POST("/users/delete", { body: {} });

console.log(
  JSON.stringify({
    health: health.status,
    scope: token.scope,
    isValid: validated.valid,
    isListed: users.some((user) => user.client_id === added.client_id),
    key: made.data.key.slice(0, 8),
    method: answer && "result" in answer ? answer.result : null,
    deleted: deleted.deleted,
    missing: [missing.response.status, missing.error?.error.code],
    refused: [refused.response.status, refused.error?.error.message],
    nobody: nobody.response.status,
  }),
);
