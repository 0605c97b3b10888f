"""New keys for a running server, and the end of old ones. Both are on record.

Devices learn the new keys by a configuration that the former key signs too, whenever they come.
What they sealed to a former key is opened with it until nothing sealed to it is kept any more.
"""

from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.public import PrivateKey

from central_server.domain.custody_log import KeysRotated, SealingKeysRetired
from central_server.services import projector
from central_server.services.context import ServerContext
from central_server.services.filing import OLDEST_HONEST
from central_server.storage import sealed_contents, server_log
from event_protocol.server_heads import KeyHandover

# A box may be away, and hold what it sealed, for as long as its events are believed.
UNDER_WAY = OLDEST_HONEST
_ROTATED = KeysRotated.model_fields["type"].default


def rotate(context: ServerContext, *, by: str) -> None:
    """New signing and sealing keys; running processes use them at once.

    On record first: a key that signs must be vouched for, one that was never used harms nobody.
    """
    keys = context.keys
    signing, sealing = Ed25519PrivateKey.generate(), PrivateKey.generate()
    entry = KeysRotated(
        by=by,
        signing=KeyHandover.between(keys.signing, signing),
        sealing=bytes(sealing.public_key).hex(),
    )
    with context.database.transaction() as db:
        server_log.append(db, entry, at=context.now())
        projector.project_server_log(db, context)
    keys.add(signing, bytes(sealing))


def retire(context: ServerContext, *, by: str, under_way: timedelta = UNDER_WAY) -> tuple[str, ...]:
    """Drops former keys that nothing needs; the ids of sealing keys that went.

    Nothing is dropped until so long after the last rotation: until then a device that was away may
    know no newer key, or bring something sealed to a former one.
    """
    now = context.now()
    with context.database.transaction() as db:
        server_log.lock(db)
        last = server_log.find(db, server_log.last_sequence_of(db, _ROTATED))
        if last is None or now - last.time < under_way:
            return ()
        former = list(context.keys.sealing)[:-1]
        unneeded = tuple(one for one in former if not sealed_contents.is_sealed_to(db, one))
        if unneeded or context.keys.former_signing:
            server_log.append(db, SealingKeysRetired(by=by, sealing=unneeded), at=now)
            projector.project_server_log(db, context)
    context.keys.retire(set(unneeded))
    return unneeded
