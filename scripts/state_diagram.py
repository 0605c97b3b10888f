"""The diagram of a service session's states, drawn from its table."""

from central_server.domain.sessions import TRANSITIONS, SessionState


def session_states() -> str:
    """Mermaid: what must be seen for a session to go from one state to another."""
    lines = ["stateDiagram-v2", f"    [*] --> {SessionState.WAITING}"]
    for before, goes in TRANSITIONS.items():
        for after in dict.fromkeys(goes.values()):
            seen = " or ".join(sight.value for sight, to in goes.items() if to is after)
            if after is not before:
                lines.append(f"    {before} --> {after}: {seen}")
        if not goes:
            lines.append(f"    {before} --> [*]")
    return "\n".join(["```mermaid", *lines, "```"])
