// node openrpc_document.mjs DOCUMENT: read an OpenRPC document as OpenRPC's own tools do, and check the params of calls.
// Prints the number of methods, and what is wrong with each call of the examples and with some that are wrong.
import { readFileSync } from "node:fs";
import utils from "@open-rpc/schema-utils-js";

const { MethodCallValidator, parseOpenRPCDocument, validateOpenRPCDocument } = utils;
const document = JSON.parse(readFileSync(process.argv[2], "utf8"));
const isValid = validateOpenRPCDocument(document) === true;
const parsed = await parseOpenRPCDocument(document); // resolves every reference
const validator = new MethodCallValidator(parsed);
const errors = (method, params) => [validator.validate(method, params)].flat().map((error) => error.message);

const examples = {};
for (const { name, examples: [example] = [] } of parsed.methods) {
  const params = (example?.params ?? []).map((param) => [param.name, param.value]);
  examples[name] = errors(name, Object.fromEntries(params));
}
const wrong = {
  "token.validate": errors("token.validate", { token: 1 }),
  "users.scope": errors("users.scope", { email: "ada@example.org" }),
  "no.method": errors("no.method", {}),
};
console.log(JSON.stringify({ isValid, methods: parsed.methods.length, examples, wrong }));
