"""The script: what is typed at a Docker Swarm and at Berth, in this order.

Duty: the commands. @sleeper, @newer ... are images, @compose ... files.
Not here: how they are run and compared (command, masks, differences).
"""

from tests.beside.command import Command, Form

_QUICK = "--update-monitor=1s --rollback-monitor=1s --restart-delay=200ms --stop-grace-period=2s"
_UNSETTLED = r"(Running\s{2,}(?!Running)\w|Shutdown\s{2,}(?!Shutdown|Failed|Complete|Rejected)\w)"

NODES = (
    Command("node ls", "node ls"),
    Command("node ls -q", "node ls -q"),
    Command(
        "node ls --filter",
        "node ls --filter role=worker --format '{{.Hostname}} {{.Status}} "
        "{{.Availability}}'",
        Form.TABLE,
    ),
    Command("node inspect", "node inspect host-2", Form.JSON),
    Command("node inspect --pretty", "node inspect --pretty host-2"),
    Command("node update", "node update --label-add zone=a --label-add disk=ssd "
            "--availability pause host-2"),
    Command("node inspect spec", "node inspect --format '{{json .Spec}}' host-2", Form.JSON),
    Command("node inspect --pretty labels", "node inspect --pretty host-2"),
    Command("node update back", "node update --label-rm disk --availability active host-2"),
    Command("node update no such label", "node update --label-rm nosuch host-2"),
    Command("node update bad availability", "node update --availability bogus host-2"),
    Command("node update nosuch", "node update --availability active nosuch"),
    Command("node update nothing", "node update host-2"),
    Command("node inspect nosuch", "node inspect nosuch"),
    Command("node rm nosuch", "node rm nosuch"),
    Command("node rm ready", "node rm host-2"),
    Command("node ps nosuch", "node ps nosuch"),
    Command("node demote a worker", "node demote host-2"),
    Command("node promote nosuch", "node promote nosuch"),
    Command("node ps of this node", "node ps"),
)  # fmt: skip

SERVICES = (
    Command("service ls of none", "service ls"),
    Command("service create", f"service create --name web --replicas 3 --label a=b --env X=1 "
            f"--limit-memory 64m --constraint node.platform.os==linux {_QUICK} @sleeper",
            Form.PROGRESS),
    Command("service create --quiet", f"service create --quiet --name all --mode global {_QUICK} "
            "@sleeper"),
    Command("service create --detach", f"service create --detach --name talk --endpoint-mode dnsrr "
            f"--publish mode=host,target=80 {_QUICK} @talker"),
    Command("service ls", "service ls", Form.TABLE, until=r"talk .* 1/1 "),
    Command("service ls --filter", "service ls --filter mode=global --format "
            "'{{.Name}} {{.Mode}} {{.Replicas}} {{.Image}} {{.Ports}}'"),
    Command("service ls --filter name", "service ls --filter name=nosuch"),
    Command("service ls bad filter", "service ls --filter colour=red"),
    Command("service ps", "service ps web", Form.TASKS),
    Command("service ps --no-trunc", "service ps --no-trunc web", Form.TASKS),
    Command("service ps --filter", "service ps --filter desired-state=running --format "
            "'{{.Name}} {{.DesiredState}} {{.Error}}' web", Form.TASKS),
    Command("service ps of a global service", "service ps all", Form.TASKS),
    Command("service ps of two", "service ps -q web talk", Form.TASKS),
    Command("service inspect", "service inspect web", Form.JSON),
    Command("service inspect of a global service", "service inspect all", Form.JSON),
    Command("service inspect with ports", "service inspect talk", Form.JSON),
    Command("service inspect --pretty", "service inspect --pretty web"),
    Command("service inspect --pretty with ports", "service inspect --pretty talk"),
    Command("inspect", "inspect web", Form.JSON),
    Command("node ps", "node ps --filter name=all host-2", Form.TASKS),
    Command("service scale", "service scale web=4", Form.PROGRESS),
    Command("service scale --detach", "service scale --detach web=3 talk=2"),
    Command("service ls scaled", "service ls", Form.TABLE, until=r"(?s)talk .* 2/2 .*web .* 3/3 "),
    Command("service update", "service update --image @newer --label-add c=d --env-add X=2 web",
            Form.PROGRESS),
    Command("service ps updated", "service ps web", Form.TASKS, unless=_UNSETTLED),
    Command("service inspect updated", "service inspect web", Form.JSON),
    Command("service inspect --pretty updated", "service inspect --pretty web"),
    Command("service update --quiet", "service update --quiet --replicas 2 web"),
    Command("service update --detach", "service update --detach --label-rm c web"),
    Command("service update --force", "service update --quiet --force --update-parallelism 0 web"),
    Command("service rollback", "service rollback web", Form.PROGRESS),
    Command("service inspect rolled back", "service inspect web", Form.JSON),
    Command("service inspect --pretty rolled back", "service inspect --pretty web"),
    Command("service update to a crasher", "service update --image @crasher web", Form.PROGRESS),
    Command("service inspect --pretty paused", "service inspect --pretty web"),
    Command("service rollback --quiet", "service rollback --quiet web"),
    Command("service create that crashes", f"service create --detach --name crash "
            f"--restart-condition none {_QUICK} @crasher"),
    Command("service ps of a failure", "service ps --no-trunc crash", Form.TASKS,
            until="Shutdown +Failed"),
    Command("service create that ends", f"service create --detach --name ends "
            f"--restart-condition none {_QUICK} @finisher"),
    Command("service ps of an end", "service ps ends", Form.TASKS,
            until="Shutdown +Complete"),
    Command("service logs", "service logs ends", Form.TASKS, until="finisher"),
    Command("service logs --raw", "service logs --raw --tail 1 ends", until="finisher"),
    Command("service create that waits", f"service create --detach --name waits --constraint "
            f"node.labels.zone==nowhere {_QUICK} @sleeper"),
    Command("service ps of what waits", "service ps --no-trunc waits", Form.TASKS, until="no suit"),
    Command("service create without an image", f"service create --detach --name lost "
            f"--restart-condition none {_QUICK} @absent"),
    Command("service ps without an image", "service ps --no-trunc lost", Form.TASKS,
            until="Shutdown +Rejected"),
)  # fmt: skip

REFUSALS = (
    Command("service inspect nosuch", "service inspect nosuch"),
    Command("service inspect --pretty nosuch", "service inspect --pretty nosuch"),
    Command("service ps nosuch", "service ps nosuch"),
    Command("service logs nosuch", "service logs nosuch"),
    Command("service scale nosuch", "service scale nosuch=2"),
    Command("service scale a global one", "service scale all=2"),
    Command("service scale nonsense", "service scale web=many"),
    Command("service update nosuch", "service update --replicas 2 nosuch"),
    Command("service rollback nosuch", "service rollback nosuch"),
    Command("service rollback without a past", "service rollback --detach all"),
    Command("service rm nosuch", "service rm nosuch"),
    Command("service create of a taken name", "service create --detach --name web @sleeper"),
    Command("service create of a bad name", "service create --detach --name 'bad name' @sleeper"),
    Command("service create of a bad constraint",
            "service create --detach --name x --constraint nonsense @sleeper"),
    Command("service create of a constraint of an unknown key",
            "service create --quiet --detach --name odd --constraint node.colour==red @sleeper"),
    Command("service create of a bad image", "service create --detach --name x Upper/Case"),
    Command("service create with a missing network",
            "service create --detach --name x --network nosuch @sleeper"),
    Command("service create with a missing secret",
            "service create --detach --name x --secret nosuch @sleeper"),
    Command("service create with a missing config",
            "service create --detach --name x --config nosuch @sleeper"),
    Command("service create of a bad mode", "service create --detach --name x --mode odd @sleeper"),
    Command("service create global with replicas",
            "service create --detach --name x --mode global --replicas 2 @sleeper"),
    Command("service create with too little memory",
            "service create --detach --name x --limit-memory 1m @sleeper"),
    Command("service create with too little CPU",
            "service create --detach --name x --limit-cpu 0.0001 @sleeper"),
    Command("service create with mounts on one target",
            "service create --detach --name x --mount type=tmpfs,target=/a "
            "--mount type=tmpfs,target=/a @sleeper"),
    Command("service create with a relative bind",
            "service create --detach --name bound --mount type=bind,source=a,target=/a "
            "@sleeper"),
    Command("service create dnsrr with an ingress port",
            "service create --detach --name x --endpoint-mode dnsrr --publish 18080:80 @sleeper"),
    Command("service create with one port twice",
            "service create --detach --name x --publish 18080:80 --publish 18080:81 @sleeper"),
    Command("service create with a bad failure action",
            "service create --detach --name x --update-failure-action shrug @sleeper"),
    Command("service create with a bad order",
            "service create --detach --name x --update-order sideways @sleeper"),
    Command("service create with a bad restart condition",
            "service create --detach --name x --restart-condition maybe @sleeper"),
    Command("service create with a bad ratio",
            "service create --detach --name x --update-max-failure-ratio 2 @sleeper"),
    Command("service update to a bad image", "service update --detach --image Upper/Case web"),
    Command("service update to a bad constraint",
            "service update --detach --constraint-add nonsense web"),
)  # fmt: skip

FILES = (
    Command("secret ls of none", "secret ls"),
    Command("config ls of none", "config ls"),
    Command("secret create", "secret create --label a=b pw -", stdin="hunter2"),
    Command("config create", "config create --label a=b --template-driver golang conf -",
            stdin="a={{.Service.Name}}"),
    Command("secret ls", "secret ls --format '{{.Name}} {{.Driver}} {{.Labels}}'"),
    Command("config ls", "config ls --filter label=a=b --format '{{.Name}} {{.Labels}}'"),
    Command("config ls of others", "config ls --filter label=a=c"),
    Command("secret ls bad filter", "secret ls --filter colour=red"),
    Command("secret inspect", "secret inspect pw", Form.JSON),
    Command("secret inspect --pretty", "secret inspect --pretty pw"),
    Command("config inspect", "config inspect conf", Form.JSON),
    Command("config inspect --pretty", "config inspect --pretty conf"),
    Command("secret create of a taken name", "secret create pw -", stdin="other"),
    Command("config create of a taken name", "config create conf -", stdin="other"),
    Command("secret create of a bad name", "secret create 'bad name' -", stdin="x"),
    Command("secret create of nothing", "secret create nothing -"),
    Command("secret inspect nosuch", "secret inspect nosuch"),
    Command("config rm nosuch", "config rm nosuch"),
    Command("service create with files", f"service create --quiet --name files {_QUICK} "
            "--secret source=pw,uid=5,mode=0400 --config source=conf,target=/conf @sleeper"),
    Command("service inspect with files", "service inspect files", Form.JSON),
    Command("secret rm in use", "secret rm pw"),
    Command("config rm in use", "config rm conf"),
    Command("service update of files",
            "service update --quiet --secret-rm pw --config-rm conf files"),
    Command("secret rm", "secret rm pw"),
    Command("config rm", "config rm conf"),
    Command("service rm with files", "service rm files"),
)  # fmt: skip

STACKS = (
    Command("stack ls of none", "stack ls"),
    Command("stack deploy", "stack deploy --detach=true -c @compose app", Form.TABLE),
    Command("stack services", "stack services app", Form.TABLE,
            until=r"(?s)app_a .* 2/2 .*app_b .* 1/1 "),
    Command("stack ls", "stack ls"),
    Command("stack ps", "stack ps app", Form.TASKS, unless=_UNSETTLED),
    Command("stack deploy --prune", "stack deploy --detach=true --prune -c @smaller app",
            Form.TABLE),
    Command("stack services pruned", "stack services app", Form.TABLE, unless="app_b"),
    Command("service inspect of a stack", "service inspect app_a", Form.JSON),
    Command("stack rm", "stack rm app", Form.TABLE),
    Command("stack services nosuch", "stack services nosuch"),
    Command("stack ps nosuch", "stack ps nosuch"),
    Command("stack rm nosuch", "stack rm nosuch"),
    Command("stack deploy of a bad file", "stack deploy --detach=true -c @broken app"),
)  # fmt: skip

CLUSTER = (
    Command("info", "info --format '{{json .Swarm}}'", Form.JSON),
    Command("info of the machine", "info --format '{{.OSType}} {{.Architecture}}'"),
    Command("version", "version"),
    Command("swarm init", "swarm init"),
    Command("swarm join", "swarm join --token x 127.0.0.1:2377"),
    Command("swarm join-token", "swarm join-token worker"),
    Command("swarm join-token bad role", "swarm join-token odd"),
    Command("swarm update", "swarm update --task-history-limit 5"),
    Command("swarm unlock-key", "swarm unlock-key"),
    Command("swarm leave", "swarm leave"),
    Command("service rm", "service rm web"),
    Command("service rm of several", "service rm all nosuch crash ends waits lost talk odd bound"),
    Command("service ls at the end", "service ls", until="REPLICAS"),
    Command("node promote", "node promote host-2"),
)

SCRIPT = (*NODES, *SERVICES, *REFUSALS, *FILES, *STACKS, *CLUSTER)
