"""Which rules apply from when: the file's content, once changed, becomes a new set in the log."""

from datetime import UTC, datetime

from sqlalchemy import select as core_select
from sqlmodel import Session, col, delete, select

from central_server.domain.rules import RuleHistory, RuleSet, parse_rules
from central_server.domain.server_log import RulesActivated
from central_server.domain.yaml_lines import WrongFileError
from central_server.services.context import ServerContext
from central_server.storage import server_log
from central_server.storage.tables import RuleSetRow, ServerLogRow, table_of

# The first set judges what happened before there was a server, too.
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_SET = table_of(RuleSetRow)
_BEGINS = core_select(_SET.c.effective_from, _SET.c.rules_hash).order_by(_SET.c.effective_from)
# Sets already parsed, by content hash; a set's opening hours are remembered with it.
_PARSED: dict[str, RuleSet] = {}


def load_file(context: ServerContext) -> RuleSet:
    """The rules as the file says now; raises `WrongFileError` that names file and line."""
    path = context.settings.rules_file
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongFileError(f"{path}: can't be read: {error}") from error
    return parse_rules(text, str(path))


def activate(context: ServerContext) -> RuleSet:
    """The file's rules apply from now on, if they are not those that apply already."""
    rules = load_file(context)
    with context.database.transaction() as db:
        log_if_new(db, rules, context.now())
    return rules


def log_if_new(db: Session, rules: RuleSet, now: datetime) -> bool:
    """Whether the set had to be written to the log; the projector reads it from there."""
    last = _last_activated(db)
    if last is not None and last.rules_hash == rules.hash:
        return False
    effective_from = BEGINNING if last is None else now
    entry = RulesActivated(
        rules_hash=rules.hash, effective_from=effective_from, content=rules.content
    )
    server_log.append(db, entry, at=now)
    return True


def history(db: Session, context: ServerContext) -> RuleHistory:
    """All sets that apply to some time; the file's, if none was activated before."""
    keys = _keys(db)
    if not keys:  # a new database, or a rebuild that has not come to the log's first entry
        server_log.lock(db)  # others may find it so, too
        keys = _keys(db)
    if not keys:
        if _last_activated(db) is None:
            log_if_new(db, load_file(context), context.now())
        last = _last_activated(db)
        if last is not None:
            apply(db, last)
        keys = _keys(db)
    return RuleHistory((since, _load(db, name, since)) for since, name in keys)


def _keys(db: Session) -> list[tuple[datetime, str]]:
    """When each set begins to apply, and its hash, the earliest first."""
    return [(since, name) for since, name in db.connection().execute(_BEGINS)]


def apply(db: Session, entry: RulesActivated) -> bool:
    """Makes the logged set known; whether it was not before. Of two from one instant the later."""
    if db.get(RuleSetRow, (entry.rules_hash, entry.effective_from)) is not None:
        return False
    db.exec(delete(RuleSetRow).where(col(RuleSetRow.effective_from) == entry.effective_from))
    row = RuleSetRow(
        rules_hash=entry.rules_hash, effective_from=entry.effective_from, content=entry.content
    )
    db.add(row)
    db.flush()
    return True


def _load(db: Session, rules_hash: str, since: datetime) -> RuleSet:
    known = _PARSED.get(rules_hash)
    if known is None:
        row = db.get_one(RuleSetRow, (rules_hash, since))
        known = _PARSED[rules_hash] = RuleSet.model_validate(row.content)
    return known


def _last_activated(db: Session) -> RulesActivated | None:
    statement = (
        select(ServerLogRow.sequence)
        .where(ServerLogRow.type == "rules.activated")
        .order_by(col(ServerLogRow.sequence).desc())
        .limit(1)
    )
    sequence = db.exec(statement).first()
    logged = None if sequence is None else server_log.find(db, sequence)
    entry = None if logged is None else logged.entry
    return entry if isinstance(entry, RulesActivated) else None
