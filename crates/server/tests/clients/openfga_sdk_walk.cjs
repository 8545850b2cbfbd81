// Walks through the server with OpenFGA's library for JavaScript, as it is: `node openfga_sdk_walk.cjs URL MODEL`.
//
// Every step is printed when it has passed. The first one that does not hold ends the walk with a status other than 0.
"use strict";

const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const { OpenFgaClient, FgaApiValidationError, FgaApiNotFoundError } = require("@openfga/sdk");

// A call that is answered at once takes far less; one that is silently repeated takes far more.
const AT_ONCE_MS = 2_000;

const step = (name) => console.log(`ok ${name}`);
const tuple = (user, relation, object, condition) => ({ user, relation, object, ...(condition ? { condition } : {}) });
const office = (network) => ({ name: "in_office", context: { network } });
const members = (name) => ({ user: `user:${name}`, relation: "member", object: "team:9" });

/** The call fails at once, with that code. */
async function refused(kind, call, code) {
  const begun = performance.now();
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof kind, `${code}: ${error}`);
    assert.equal(error.apiErrorCode ?? error.responseData?.code, code);
    return true;
  });
  const took = performance.now() - begun;
  assert.ok(took < AT_ONCE_MS, `${code}: surfaced after ${took} ms`);
}

async function walk(apiUrl, model) {
  const nameless = new OpenFgaClient({ apiUrl });
  const { id: storeId } = await nameless.createStore({ name: "javascript" });
  let client = new OpenFgaClient({ apiUrl, storeId });
  assert.equal((await client.getStore()).name, "javascript");
  assert.ok((await client.listStores()).stores.some((store) => store.id === storeId));
  step("store");

  const { authorization_model_id: authorizationModelId } = await client.writeAuthorizationModel(model);
  assert.equal((await client.readLatestAuthorizationModel()).authorization_model.id, authorizationModelId);
  client = new OpenFgaClient({ apiUrl, storeId, authorizationModelId });
  const read = (await client.readAuthorizationModel()).authorization_model;
  assert.equal(read.conditions.in_office.parameters.ip.type_name, "TYPE_NAME_IPADDRESS");
  assert.equal((await client.readAuthorizationModels()).authorization_models.length, 1);
  step("model with a condition");

  const begun = new Date(Date.now() - 60_000).toISOString();
  await client.write({
    writes: [
      members("ann"),
      tuple("team:9#member", "viewer", "document:plan"),
      tuple("user:bob", "viewer", "document:plan", office("10.0.0.0/8")),
      tuple("user:*", "viewer", "document:public"),
      tuple("user:eve", "blocked", "document:plan"),
    ],
  });
  await client.writeTuples([tuple("user:eve", "viewer", "document:plan"), tuple("user:eve", "viewer", "document:old")]);
  await client.deleteTuples([tuple("user:eve", "viewer", "document:old")]);
  step("writes and deletes");

  const bob = await client.read({ user: "user:bob", object: "document:plan" });
  assert.deepEqual(bob.tuples[0].key.condition, office("10.0.0.0/8"));
  const first = await client.read({}, { pageSize: 2 });
  const rest = await client.read({}, { pageSize: 50, continuationToken: first.continuation_token });
  assert.deepEqual([first.tuples.length, rest.tuples.length, rest.continuation_token], [2, 4, ""]);
  step("read");

  const check = async (user, more = {}, relation = "viewer") =>
    (await client.check({ user, relation, object: "document:plan", ...more })).allowed;
  assert.ok((await check("user:ann")) && (await check("team:9#member")) && !(await check("user:zoe")));
  assert.ok(await check("user:bob", { context: { ip: "10.1.2.3" } }));
  assert.ok(!(await check("user:bob", { context: { ip: "11.1.2.3" } })));
  assert.ok(await check("user:zoe", { contextualTuples: [members("zoe")] }));
  const conditional = tuple("user:zoe", "viewer", "document:plan", office("0.0.0.0/0"));
  assert.ok(await check("user:zoe", { contextualTuples: [conditional], context: { ip: "1.1.1.1" } }));
  assert.ok((await check("user:eve")) && !(await check("user:eve", {}, "can_view")));
  step("check with context and contextual tuples");

  const item = (user, correlationId, more = {}) =>
    ({ user, relation: "viewer", object: "document:plan", correlationId, ...more });
  const batch = await client.batchCheck({
    checks: [
      item("user:ann", "ann"), item("user:zoe", "zoe"), item("user:bob", "bob", { context: { ip: "10.0.0.1" } }),
      item("user:zoe", "contextual", { contextualTuples: { tuple_keys: [members("zoe")] } }),
      item("user:bob", "nothing"), item("robot:x", "robot"),
    ],
  });
  const byId = Object.fromEntries(batch.result.map((answer) => [answer.correlationId, answer]));
  assert.ok(byId.ann.allowed && byId.bob.allowed && byId.contextual.allowed && !byId.zoe.allowed);
  for (const id of ["nothing", "robot"]) {
    assert.ok(!byId[id].allowed);
    assert.equal(byId[id].error.input_error, "validation_error");
  }
  const many = await client.batchCheck({ checks: Array.from({ length: 120 }, (_, at) => item("user:ann", `${at}`)) });
  assert.ok(many.result.length === 120 && many.result.every((answer) => answer.allowed));
  step("batch check, also of more than one request takes");

  const relations = await client.listRelations({
    user: "user:ann", object: "document:plan", relations: ["viewer", "can_view", "blocked"],
  });
  assert.deepEqual(relations.relations, ["viewer", "can_view"]);
  step("list relations");

  const assertion = { ...tuple("user:ann", "viewer", "document:plan"), expectation: true };
  await client.writeAssertions([assertion]);
  const kept = (await client.readAssertions()).assertions;
  assert.equal(kept.length, 1);
  assert.deepEqual([kept[0].expectation, kept[0].tuple_key.user], [true, "user:ann"]);
  step("assertions");

  const changes = await client.readChanges({ type: "document" }, { pageSize: 50 });
  const deletes = changes.changes.filter((change) => change.operation === "TUPLE_OPERATION_DELETE");
  assert.deepEqual([changes.changes.length, deletes.length], [7, 1]);
  assert.equal((await client.readChanges({ type: "team", startTime: begun })).changes.length, 1);
  const after = await client.readChanges({ type: "document" }, { continuationToken: changes.continuation_token });
  assert.deepEqual([after.changes, after.continuation_token], [[], changes.continuation_token]);
  step("changes");

  await lists(client);

  const invalid = (call, code) => refused(FgaApiValidationError, call, code);
  await invalid(() => check("user:bob"), "validation_error");
  await invalid(() => check("user:bob", { context: { ip: 7 } }), "validation_error");
  await invalid(() => client.writeTuples([members("ann")]), "write_failed_due_to_invalid_input");
  await invalid(() => client.deleteTuples([members("nobody")]), "write_failed_due_to_invalid_input");
  await invalid(() => client.read({}, { continuationToken: "forged" }), "invalid_continuation_token");
  await client.deleteStore();
  await refused(FgaApiNotFoundError, () => client.getStore(), "store_id_not_found");
  step("faults surface at once");
}

async function lists(client) {
  const objects = async (user, more = {}) => {
    const request = { user, relation: "viewer", type: "document", ...more };
    const plain = (await client.listObjects(request)).objects.sort();
    const streamed = [];
    for await (const line of client.streamedListObjects(request)) streamed.push(line.object);
    assert.deepEqual(streamed.sort(), plain);
    return plain;
  };
  assert.deepEqual(await objects("user:ann"), ["document:plan", "document:public"]);
  assert.deepEqual(await objects("user:bob", { context: { ip: "10.0.0.1" } }), ["document:plan", "document:public"]);
  assert.deepEqual(await objects("user:bob", { context: { ip: "11.0.0.1" } }), ["document:public"]);
  const mine = [tuple("user:zoe", "viewer", "document:mine")];
  assert.deepEqual(await objects("user:zoe", { contextualTuples: mine }), ["document:mine", "document:public"]);
  step("list objects, plain and streamed");

  const users = async (id, filter, more = {}) => {
    const request = { object: { type: "document", id }, relation: "viewer", user_filters: [filter], ...more };
    return (await client.listUsers(request)).users;
  };
  const inside = { context: { ip: "10.0.0.1" } };
  const found = await users("plan", { type: "user" }, inside);
  assert.deepEqual(found.map((user) => user.object.id).sort(), ["ann", "bob", "eve"]);
  assert.deepEqual(await users("public", { type: "user" }), [{ wildcard: { type: "user" } }]);
  const teams = await users("plan", { type: "team", relation: "member" }, inside);
  assert.deepEqual(teams, [{ userset: { type: "team", id: "9", relation: "member" } }]);
  step("list users");

  const tree = (await client.expand({ relation: "can_view", object: "document:plan" })).tree;
  assert.equal(tree.root.name, "document:plan#can_view");
  assert.equal(tree.root.difference.base.leaf.computed.userset, "document:plan#viewer");
  const viewers = (await client.expand({ relation: "viewer", object: "document:plan" })).tree.root.leaf.users.users;
  assert.deepEqual(viewers.sort(), ["team:9#member", "user:bob", "user:eve"]);
  step("expand");
}

walk(process.argv[2], JSON.parse(readFileSync(process.argv[3], "utf-8"))).catch((error) => {
  console.error(error);
  process.exit(1);
});
