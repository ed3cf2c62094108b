"""Words that the dashboards' queries are made of: selectors, quantiles, rates, variables.

Not here: panels (board_cluster, board_programs).
"""

from typing import Final

from deploy.grafana.panels import Query, Variable

OF_CLUSTER: Final = 'cluster=~"$cluster"'
OF_NODE: Final = f'{OF_CLUSTER}, instance=~"$node"'
OF_SERVICE: Final = f'job="berth-workload", {OF_CLUSTER}, service=~"$service"'
DAY_S: Final = 86400


def quantile(q: float, metric: str, selector: str, by: str = "") -> str:
    """Return the quantile of a histogram's rate, by a label if one is named."""
    labels = f"le, {by}" if by else "le"
    rate = f"rate({metric}_bucket{{{selector}}}[$__rate_interval])"
    return f"histogram_quantile({q}, sum by ({labels}) ({rate}))"


def rate_of(metric: str, selector: str, by: str = "") -> str:
    """Return the rate of a counter, summed by a label if one is named."""
    grouped = f"sum by ({by}) " if by else "sum"
    return f"{grouped}(rate({metric}{{{selector}}}[$__rate_interval]))"


def p50_p99(metric: str, selector: str) -> tuple[Query, ...]:
    """Return the median and the 99th percentile of a histogram."""
    return (
        Query(quantile(0.5, metric, selector), "p50"),
        Query(quantile(0.99, metric, selector), "p99"),
    )


def by_state(metric: str, label: str = "state") -> Query:
    """Return a gauge of the whole cluster, by its label."""
    return Query(f"sum by ({label}) ({metric}{{{OF_CLUSTER}}})", f"{{{{{label}}}}}")


CLUSTER = Variable(
    "cluster", "Cluster", "label_values(berth_leader, cluster)", "Clusters that are scraped."
)
NODE = Variable(
    "node",
    "Node",
    f"label_values(berth_agent_info{{{OF_CLUSTER}}}, instance)",
    "Agents by the address at which they are scraped.",
)
SERVICE = Variable(
    "service",
    "Service",
    f'label_values(up{{job="berth-workload", {OF_CLUSTER}}}, service)',
    "Services whose containers Prometheus has found by Docker's API (prometheus-docker.yml).",
)
