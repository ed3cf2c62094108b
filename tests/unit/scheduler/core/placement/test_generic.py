from berth.model.ids import NodeId
from scheduler.core.placement.place import place
from tests.unit.scheduler.core.placement.builders import a_demand, a_node, a_table

N1 = NodeId("n1")
ONE_GPU = a_demand(generic=(("gpu", 1),))


def a_gpu_table(*names: str):
    return a_table(a_node(generic_names={"gpu": names}))


def test_the_lowest_free_units_are_granted_and_come_back():
    table = a_gpu_table("g2", "g0", "g1")
    two = a_demand(generic=(("gpu", 2),))
    first = table.grant_generic(N1, two)
    assert first == (("gpu", ("g0", "g1")),)
    assert table.grant_generic(N1, ONE_GPU) == (("gpu", ("g2",)),)
    table.return_generic(N1, first)
    assert table.grant_generic(N1, ONE_GPU) == (("gpu", ("g0",)),)


def test_a_plain_number_is_granted_as_text():
    table = a_table(a_node(generic_counts={"ssd": 3}))
    demand = a_demand(generic=(("ssd", 2),))
    granted = table.grant_generic(N1, demand)
    assert granted == (("ssd", ("2",)),)
    table.return_generic(N1, granted)
    assert table.grant_generic(N1, a_demand()) == ()


def test_what_a_former_leader_granted_is_not_granted_again():
    table = a_gpu_table("g0", "g1")
    table.adopt_generic(N1, (("gpu", ("g0",)),))
    assert table.grant_generic(N1, ONE_GPU) == (("gpu", ("g1",)),)


def test_a_replacement_takes_a_free_unit_before_that_of_the_task_that_leaves():
    table = a_gpu_table("g0", "g1")
    leaving = table.grant_generic(N1, ONE_GPU)
    replacement = table.grant_generic(N1, ONE_GPU, reuse=leaving)
    assert replacement == (("gpu", ("g1",)),)


def test_a_replacement_takes_the_unit_of_the_task_that_leaves_when_none_is_free():
    table = a_gpu_table("g0", "g1")
    leaving = table.grant_generic(N1, ONE_GPU)
    table.grant_generic(N1, ONE_GPU)
    replacement = table.grant_generic(N1, ONE_GPU, reuse=leaving)
    assert replacement == leaving
    table.return_generic(N1, leaving)
    other = table.grant_generic(N1, ONE_GPU)
    assert other == leaving, "the replacement and another hold one each: any more must share"


def test_units_are_shared_rather_than_refused_when_a_node_lost_some():
    table = a_gpu_table("g0", "g1")
    table.grant_generic(N1, a_demand(generic=(("gpu", 2),)))
    table.put_node(a_node(generic_names={"gpu": ("g1",)}), accepting=True)
    assert table.grant_generic(N1, a_demand(generic=(("gpu", 2),))) == (("gpu", ("g1",)),)


def test_a_removed_node_forgets_its_grants():
    table = a_gpu_table("g0")
    granted = table.grant_generic(N1, ONE_GPU)
    table.remove_node(N1)
    table.return_generic(N1, granted)
    table.put_node(a_node(generic_names={"gpu": ("g0",)}), accepting=True)
    assert table.grant_generic(N1, ONE_GPU) == (("gpu", ("g0",)),)


def test_counts_decide_where_a_task_goes():
    table = a_table(a_node("n1"), a_node("n2", generic_names={"gpu": ("g0", "g1")}))
    outcome = place(table, ONE_GPU, 3)
    assert outcome.nodes == ["n2", "n2"]
    assert outcome.shortfall is not None
    explanation = outcome.shortfall.explain()
    assert explanation.short() == (
        "no suitable node (insufficient generic resource gpu on 2 nodes)"
    )
