"""All pages and acts, in the order of the navigation: the one place where rows are registered."""

from scalix.pages.operator.audit import AUDIT_ROWS
from scalix.pages.operator.keys import KEYS_ROWS
from scalix.pages.operator.models import MODELS_ROWS
from scalix.pages.operator.money import MONEY_ROWS
from scalix.pages.operator.requests import REQUESTS_ROWS
from scalix.pages.operator.system import SYSTEM_ROWS
from scalix.pages.operator.today import TODAY_ROWS
from scalix.pages.operator.users import USERS_ROWS
from scalix.pages.rows import Role
from scalix.pages.signing_in import SIGNING_IN_ROWS, session_rows
from scalix.pages.user.own import OWN_ROWS
from scalix.pages.user.usage import USAGE_ROWS

PAGE_ROWS = (
    *SIGNING_IN_ROWS,
    # The operator's.
    *TODAY_ROWS,
    *USERS_ROWS,
    *KEYS_ROWS,
    *REQUESTS_ROWS,
    *MONEY_ROWS,
    *MODELS_ROWS,
    *AUDIT_ROWS,
    *SYSTEM_ROWS,
    *session_rows(Role.OPERATOR),
    # A user's.
    *USAGE_ROWS,
    *OWN_ROWS,
    *session_rows(Role.USER),
)
