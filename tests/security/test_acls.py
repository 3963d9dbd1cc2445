"""Which ACLs a role needs, and the lines that grant them."""

from __future__ import annotations

from tests.plans import CHAIN, plan_of
from topology.acls import Acl, acl_lines, acls_of, principal_of, topic_line, used_topics
from topology.sizes import Sizes


def test_a_worker_reads_what_is_sent_to_it_and_writes_what_it_decides() -> None:
    plan = plan_of(CHAIN, "w")
    acls = acls_of(plan, "worker", Sizes(replication_factor=3), creates=False)
    allowed = {name: {acl.operation for acl in acls if acl.name == name} for name in {acl.name for acl in acls}}
    assert allowed["w.input"] == allowed["w.control"] == {"Read"}
    assert allowed["w.dead-letter"] == {"Write"}
    assert (
        allowed["w.run"] == allowed["w.retry"] == allowed["w.output"] == allowed["penstock.plans"] == {"Read", "Write"}
    )
    assert allowed["penstock.w"] == {"Read"}
    changelogs = [table.changelog for table in plan.tables]
    assert all(allowed[changelog] == {"Read", "Write"} for changelog in changelogs)
    assert allowed.keys() == {
        "penstock.w", "penstock.plans", *changelogs, *(topic.name for topic in plan.topics)
    }  # fmt: skip


def test_a_worker_that_creates_topics_may_create_those_it_uses_and_asks_the_broker_for_its_replication_factor() -> None:
    plan = plan_of(CHAIN, "w")
    more = set(acls_of(plan, "worker", Sizes())) - set(acls_of(plan, "worker", Sizes(), creates=False))
    created = {Acl("topic", topic.name, "Create") for topic in used_topics(plan, Sizes())}
    assert more == created | {Acl("cluster", "kafka-cluster", "DescribeConfigs")}
    assert set(acls_of(plan, "worker", Sizes(replication_factor=1))) >= created
    assert not any(acl.resource == "cluster" for acl in acls_of(plan, "worker", Sizes(replication_factor=1)))


def test_publishers_and_consumers_need_one_topic() -> None:
    plan = plan_of(CHAIN, "w")
    assert acls_of(plan, "publisher", Sizes()) == (Acl("topic", "w.input", "Write"),)
    assert acls_of(plan, "consumer", Sizes()) == (Acl("topic", "w.output", "Read"),)


def test_the_console_looks_at_everything_and_writes_what_people_send() -> None:
    plan = plan_of(CHAIN, "w")
    acls = acls_of(plan, "console", Sizes())
    assert {acl.name for acl in acls if acl.operation == "Write"} == {"w.input", "w.control"}
    assert {acl.name for acl in acls if acl.operation == "Read"} == {
        "penstock.plans",
        *(topic.name for topic in plan.topics),
        *(table.changelog for table in plan.tables),
    }
    assert [acl for acl in acls if acl.resource == "group"] == [Acl("group", "penstock.w", "Describe")]


def test_lines_are_grouped_by_what_they_allow() -> None:
    acls = [
        Acl("topic", "a", "Read"),
        Acl("topic", "b", "Read"),
        Acl("topic", "b", "Write"),
        Acl("topic", "c", "Read"),
        Acl("group", "g", "Read"),
        Acl("cluster", "kafka-cluster", "DescribeConfigs"),
    ]
    head = "kafka-acls.sh --bootstrap-server k:1 --add --allow-principal"
    assert acl_lines(acls, "User:CN=a b", "--bootstrap-server k:1") == [
        f"{head} 'User:CN=a b' --operation Read --topic a --topic c",
        f"{head} 'User:CN=a b' --operation Read --operation Write --topic b",
        f"{head} 'User:CN=a b' --operation Read --group g",
        f"{head} 'User:CN=a b' --operation DescribeConfigs --cluster",
    ]
    assert [principal_of("me"), principal_of("User:me")] == ["User:me", "User:me"]


def test_a_topics_line_has_all_its_settings() -> None:
    plan = plan_of(CHAIN, "w")
    (journal,) = [topic for topic in used_topics(plan, Sizes()) if topic.name == plan.nodes[0].topic]
    line = topic_line(journal, 6, Sizes(replication_factor=3), "--bootstrap-server k:1")
    assert line.startswith(
        f"kafka-topics.sh --bootstrap-server k:1 --create --topic {journal.name} --partitions 6 --replication-factor 3 --config "
    )
    assert all(f"--config {key}={value}" in line for key, value in journal.config.items())
    assert "message.timestamp.type=LogAppendTime" in line
