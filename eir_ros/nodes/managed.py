"""A lifecycle node that brings itself up, and lets go of everything it took when it is cleaned up.

configure -> activate -> deactivate -> cleanup, by hand with `ros2 lifecycle set`, or by itself.
"""

import sys
import traceback
from collections.abc import Callable
from typing import Any

from rclpy.exceptions import NameValidationException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from eir_ros.contract.errors import EirError


class ManagedNode(LifecycleNode):
    """Turns four hooks into the transitions of a lifecycle node.

    An `EirError` of a hook is a refusal: its sentence is logged, the transition fails, and
    `bring_up` raises it again. What `configure` creates, topics, services and timers, is
    destroyed by the cleanup.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        #: Between activation and deactivation.
        self.active = False
        self._refusal: EirError | None = None
        self._before: set[Any] = set()

    def configure(self) -> None:
        """Take what is needed; publish nothing yet."""

    def activate(self) -> None:
        """Begin to work."""

    def deactivate(self) -> None:
        """Stop working; `activate` may follow."""

    def cleanup(self) -> None:
        """Let go of what is not on the graph; `configure` may follow."""

    def bring_up(self, wanted: bool) -> None:
        """Configure and activate, if that is `wanted` without being told.

        Raises
        ------
        EirError
            What was given is refused.
        """
        if not wanted:
            return
        for transition in (self.trigger_configure, self.trigger_activate):
            if transition() != TransitionCallbackReturn.SUCCESS:
                raise self._refusal or RuntimeError(f"{transition.__name__} failed")

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take what is needed."""
        self._before = self._entities()
        done = self._attempt(self.configure)
        if done != TransitionCallbackReturn.SUCCESS:
            self._release()
        return done

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to work."""
        done = self._attempt(self.activate)
        self.active = done == TransitionCallbackReturn.SUCCESS
        return done

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop working."""
        self.active = False
        return self._attempt(self.deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything."""
        done = self._attempt(self.cleanup)
        self._release()
        return done

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop, and let go."""
        if self.active:
            self.on_deactivate(state)
        return self.on_cleanup(state) if self._before else TransitionCallbackReturn.SUCCESS

    def _attempt(self, hook: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            hook()
        except (EirError, OSError, NameValidationException) as error:
            # what a disk or rclpy refuses is as much what was given, the name of a topic for one
            self._refusal = error if isinstance(error, EirError) else EirError(f"{error}")
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception:
            # rclpy would swallow it
            traceback.print_exc(file=sys.stderr)
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _entities(self) -> set[Any]:
        kinds = (self.timers, self.subscriptions, self.publishers, self.clients, self.services)
        return {entity for kind in kinds for entity in kind} | set(self.guards)

    def _release(self) -> None:
        """Destroy what has come since `configure` began."""
        new = self._entities() - self._before
        for found, destroy in (
            (self.timers, self.destroy_timer),
            (self.subscriptions, self.destroy_subscription),
            (self.publishers, self.destroy_publisher),
            (self.clients, self.destroy_client),
            (self.services, self.destroy_service),
            (self.guards, self.destroy_guard_condition),
        ):
            for entity in [entity for entity in found if entity in new]:
                destroy(entity)
        self._before = set()
