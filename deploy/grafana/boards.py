"""All dashboards; each becomes a file named after its uid."""

from typing import Final

from deploy.grafana.board_cluster import OVERVIEW, SERVICES
from deploy.grafana.board_programs import NODES, SCHEDULER
from deploy.grafana.panels import Board

BOARDS: Final[tuple[Board, ...]] = (OVERVIEW, SCHEDULER, NODES, SERVICES)
