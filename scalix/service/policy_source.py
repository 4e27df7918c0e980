"""The policy in force. One holder, so that a reload is seen by everybody at once."""

from scalix.domain.policy import Policy


class PolicySource:
    """Hands out the current `Policy`."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    @property
    def current(self) -> Policy:
        """The policy that the next request is judged by."""
        return self._policy

    def replace(self, policy: Policy) -> None:
        """Put another policy in force, from the next request on."""
        self._policy = policy
