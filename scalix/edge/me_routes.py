"""`/scalix/v1/me/*`: what users do by themselves with what is their own."""

from scalix.edge.rows import BODY, PERSON, QUERY, Access, Request, Row, calls
from scalix.service.self_service.own_keys import PATH, NewName, NewOwnKey, Rotation, SelfServiceKeys

_ONE, _ROTATE = f"{PATH}/{{key}}", "/rotate"


def _token_in(asked: Request) -> str:
    return str(asked.scope["path"]).removeprefix(f"{PATH}/").removesuffix(_ROTATE)


ME_ROWS: tuple[Row[SelfServiceKeys], ...] = (
    Row("GET", PATH, calls(SelfServiceKeys.listing, PERSON, QUERY), Access.USERS, query=("cursor",)),
    Row("POST", PATH, calls(SelfServiceKeys.make, PERSON, BODY), Access.USERS, body=NewOwnKey),
    Row("POST", _ONE, calls(SelfServiceKeys.rename, PERSON, _token_in, BODY), Access.USERS, body=NewName),
    Row(
        "POST",
        _ONE + _ROTATE,
        calls(SelfServiceKeys.rotate, PERSON, _token_in, BODY),
        Access.USERS,
        body=Rotation,
        may_be_empty=True,
    ),
    Row("DELETE", _ONE, calls(SelfServiceKeys.revoke, PERSON, _token_in), Access.USERS),
)
