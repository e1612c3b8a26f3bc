"""Fresh proof: what dangerous operations require of a user who is signed in already."""

from __future__ import annotations

from service.credentials import passwords
from service.errors import NotSignedIn, StepUpRequired
from service.sessions.record import Record, SignedIn
from service.sessions.rules import SessionRules
from service.sessions.store import SessionStore
from service.signin.flow import Proof

FACTORS = (passwords.METHOD,)  # that can give it


class FreshProof:
    """Renews the proof behind a session, and says when it is too old (OWASP ASVS 5.0, 7.5.1)."""

    def __init__(self, sessions: SessionStore, rules: SessionRules, longest: float) -> None:
        """
        Args:
            longest: seconds for which a proof is fresh.
        """
        self._sessions = sessions
        self._rules = rules
        self._longest = longest

    def renew(self, user: SignedIn, proof: Proof) -> Record:
        """Note that the user has just authenticated again.

        Args:
            proof: of the same account. A revocation after it ends the session all the same.

        Returns:
            The session under its new id.

        Raises:
            NotSignedIn: the session has just ended.
            SessionStoreUnavailable: Redis does not answer; the session may have its new id.
        """
        epoch = proof.account.session_epoch
        renewed = self._sessions.rotate(user.record, (proof.method,), epoch)
        if renewed is None:
            raise NotSignedIn
        return renewed

    def require(self, record: Record) -> None:
        """Check that the user of a session has authenticated lately.

        Raises:
            StepUpRequired: it was too long ago.
        """
        if self._rules.age_of_proof(record) > self._longest:
            raise StepUpRequired(FACTORS)
