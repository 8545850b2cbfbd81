"""Walks through the server with OpenFGA's library for Python, as it is: `python3 openfga_sdk_walk.py URL MODEL`.

Every step is printed when it has passed. The first one that does not hold ends the walk with a status other than 0.
"""

import json
import sys
import time
from datetime import datetime, timedelta, timezone

from openfga_sdk.client import ClientConfiguration
from openfga_sdk.client.models import (
    ClientAssertion,
    ClientBatchCheckItem,
    ClientBatchCheckRequest,
    ClientCheckRequest,
    ClientExpandRequest,
    ClientListObjectsRequest,
    ClientListRelationsRequest,
    ClientReadChangesRequest,
    ClientTuple,
    ClientWriteRequest,
)
from openfga_sdk.client.models.list_users_request import ClientListUsersRequest
from openfga_sdk.exceptions import NotFoundException, ValidationException
from openfga_sdk.models import (
    CreateStoreRequest,
    FgaObject,
    ReadRequestTupleKey,
    RelationshipCondition,
    UserTypeFilter,
    WriteAuthorizationModelRequest,
)
from openfga_sdk.sync import OpenFgaClient

# A call that is answered at once takes far less; one that is silently repeated takes far more.
AT_ONCE_SECONDS = 2.0


def step(name):
    print(f"ok {name}", flush=True)


def refused(kind, call, code):
    """The call fails at once, with that code."""
    begun = time.monotonic()
    try:
        call()
    except kind as error:
        took = time.monotonic() - begun
        assert took < AT_ONCE_SECONDS, f"{code}: surfaced after {took} s"
        assert str(error.code) == code, f"{error.code} is not {code}"
        return
    raise AssertionError(f"nothing was refused where {code} was expected")


def document(user, relation="viewer", name="plan", condition=None):
    return ClientTuple(user=user, relation=relation, object=f"document:{name}", condition=condition)


def office(network):
    return RelationshipCondition(name="in_office", context={"network": network})


def walk(url, model):
    with OpenFgaClient(ClientConfiguration(api_url=url)) as client:
        store = client.create_store(CreateStoreRequest(name="python")).id
        client.set_store_id(store)
        assert client.get_store().name == "python"
        assert store in [known.id for known in client.list_stores().stores]
        step("store")

        written = client.write_authorization_model(WriteAuthorizationModelRequest(**model)).authorization_model_id
        assert client.read_latest_authorization_model().authorization_model.id == written
        client.set_authorization_model_id(written)
        read = client.read_authorization_model().authorization_model
        assert read.conditions["in_office"].parameters["ip"].type_name == "TYPE_NAME_IPADDRESS"
        assert len(client.read_authorization_models().authorization_models) == 1
        step("model with a condition")

        begun = datetime.now(timezone.utc) - timedelta(minutes=1)
        team = ClientTuple(user="user:ann", relation="member", object="team:9")
        client.write(ClientWriteRequest(writes=[
            team, document("team:9#member"), document("user:bob", condition=office("10.0.0.0/8")),
            document("user:*", name="public"), document("user:eve", relation="blocked"),
        ]))
        client.write_tuples([document("user:eve"), document("user:eve", name="old")])
        client.delete_tuples([document("user:eve", name="old")])
        step("writes and deletes")

        tuples = client.read(ReadRequestTupleKey(user="user:bob", object="document:plan")).tuples
        assert len(tuples) == 1
        assert tuples[0].key.condition.name == "in_office"
        assert tuples[0].key.condition.context == {"network": "10.0.0.0/8"}
        first = client.read(ReadRequestTupleKey(), {"page_size": 2})
        rest = client.read(ReadRequestTupleKey(), {"page_size": 50, "continuation_token": first.continuation_token})
        assert len(first.tuples) == 2 and len(rest.tuples) == 4 and rest.continuation_token == ""
        step("read")

        def check(user, relation="viewer", **more):
            return client.check(ClientCheckRequest(user=user, relation=relation, object="document:plan", **more)).allowed

        assert check("user:ann") and check("team:9#member") and not check("user:zoe")
        assert check("user:bob", context={"ip": "10.1.2.3"}) and not check("user:bob", context={"ip": "11.1.2.3"})
        assert check("user:zoe", contextual_tuples=[ClientTuple(user="user:zoe", relation="member", object="team:9")])
        assert check("user:zoe", contextual_tuples=[document("user:zoe", condition=office("0.0.0.0/0"))],
                     context={"ip": "1.1.1.1"})
        assert check("user:eve") and not check("user:eve", relation="can_view")
        step("check with context and contextual tuples")

        def item(user, correlation_id, **more):
            return ClientBatchCheckItem(
                user=user, relation="viewer", object="document:plan", correlation_id=correlation_id, **more
            )

        batch = client.batch_check(ClientBatchCheckRequest(checks=[
            item("user:ann", "ann"), item("user:zoe", "zoe"), item("user:bob", "bob", context={"ip": "10.0.0.1"}),
            item("user:bob", "nothing"), item("robot:x", "robot"),
        ])).result
        by_id = {answer.correlation_id: answer for answer in batch}
        assert by_id["ann"].allowed and by_id["bob"].allowed and not by_id["zoe"].allowed
        for id in ["nothing", "robot"]:
            assert not by_id[id].allowed and by_id[id].error.input_error == "validation_error", by_id[id].error
        many = [item("user:ann", str(at)) for at in range(120)]
        assert all(answer.allowed for answer in client.batch_check(ClientBatchCheckRequest(checks=many)).result)
        step("batch check, also of more than one request takes")

        relations = client.list_relations(ClientListRelationsRequest(
            user="user:ann", object="document:plan", relations=["viewer", "can_view", "blocked"],
        ))
        assert relations == ["viewer", "can_view"], relations
        step("list relations")

        client.write_assertions([ClientAssertion("user:ann", "viewer", "document:plan", True)])
        kept = client.read_assertions().assertions
        assert len(kept) == 1 and kept[0].expectation and kept[0].tuple_key.user == "user:ann"
        step("assertions")

        changes = client.read_changes(ClientReadChangesRequest(type="document"), {"page_size": 50})
        operations = [change.operation for change in changes.changes]
        assert operations.count("TUPLE_OPERATION_DELETE") == 1 and len(operations) == 7, operations
        since = client.read_changes(ClientReadChangesRequest(type="team", start_time=begun.isoformat()))
        assert len(since.changes) == 1
        after = client.read_changes(
            ClientReadChangesRequest(type="document"), {"continuation_token": changes.continuation_token}
        )
        assert after.changes == [] and after.continuation_token == changes.continuation_token
        step("changes")

        lists(client)

        refused(ValidationException, lambda: check("user:bob"), "validation_error")
        refused(ValidationException, lambda: check("user:bob", context={"ip": 7}), "validation_error")
        refused(ValidationException, lambda: client.write_tuples([team]), "write_failed_due_to_invalid_input")
        refused(ValidationException, lambda: client.delete_tuples([document("user:nobody")]),
                "write_failed_due_to_invalid_input")
        refused(ValidationException, lambda: client.write_tuples([document("robot:x")]), "validation_error")
        refused(ValidationException, lambda: client.read(ReadRequestTupleKey(), {"continuation_token": "forged"}),
                "invalid_continuation_token")
        client.delete_store()
        refused(NotFoundException, client.get_store, "store_id_not_found")
        step("faults surface at once")


def lists(client):
    def objects(user, **more):
        request = ClientListObjectsRequest(user=user, relation="viewer", type="document", **more)
        plain = sorted(client.list_objects(request).objects)
        streamed = sorted(line.object for line in client.streamed_list_objects(request))
        assert plain == streamed, (plain, streamed)
        return plain

    assert objects("user:ann") == ["document:plan", "document:public"]
    assert objects("user:bob", context={"ip": "10.0.0.1"}) == ["document:plan", "document:public"]
    assert objects("user:bob", context={"ip": "11.0.0.1"}) == ["document:public"]
    assert objects("user:zoe", contextual_tuples=[document("user:zoe", name="mine")]) == [
        "document:mine", "document:public",
    ]
    step("list objects, plain and streamed")

    def users(name, relation=None, type="user", **more):
        request = ClientListUsersRequest(
            object=FgaObject(type="document", id=name), relation="viewer",
            user_filters=[UserTypeFilter(type=type, relation=relation)], **more,
        )
        return client.list_users(request).users

    inside = users("plan", context={"ip": "10.0.0.1"})
    assert sorted(user.object.id for user in inside) == ["ann", "bob", "eve"], inside
    assert [user.wildcard.type for user in users("public")] == ["user"]
    teams = users("plan", type="team", relation="member", context={"ip": "10.0.0.1"})
    assert [(user.userset.id, user.userset.relation) for user in teams] == [("9", "member")]
    step("list users")

    tree = client.expand(ClientExpandRequest(relation="can_view", object="document:plan")).tree
    assert tree.root.name == "document:plan#can_view"
    assert tree.root.difference.base.leaf.computed.userset == "document:plan#viewer"
    leaf = client.expand(ClientExpandRequest(relation="viewer", object="document:plan")).tree.root.leaf
    assert sorted(leaf.users.users) == ["team:9#member", "user:bob", "user:eve"], leaf
    step("expand")


if __name__ == "__main__":
    with open(sys.argv[2], encoding="utf-8") as file:
        walk(sys.argv[1], json.load(file))
