// node jsonrpc_client.mjs URL KEY: calls by OpenRPC's own client, @open-rpc/client-js. Prints what was answered.
import { Client, HTTPTransport, RequestManager } from "@open-rpc/client-js";

const [, , url, key] = process.argv;
const transport = new HTTPTransport(url, { headers: { Authorization: `Bearer ${key}` } });
const client = new Client(new RequestManager([transport]));

const byName = await client.request({ method: "keys.list", params: { limit: 1 } });
const byPosition = await client.request({ method: "access.explain", params: [null, "stats"] });
await client.notify({ method: "health", params: {} });
const error = await client.request({ method: "users.get", params: { client_id: "nobody@example.org" } }).catch((each) => each);
console.log(JSON.stringify({ keys: byName.items.length, isAllowed: byPosition.allowed, code: error.code, data: error.data }));
client.close();
