// The connection to the monitor: pictures come in, orders go out and are answered.
// It reconnects by itself; an e-stop is owed until the monitor has said that it was carried out.

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 4000;
// The monitor sends ten pictures a second; after this long without one the view is stale.
export const STALE_MS = 2000;

export class Link {
  constructor({ onHello, onPast, onPicture, onChange }) {
    this.handlers = { onHello, onPast, onPicture, onChange };
    this.retry = FIRST_RETRY_MS;
    this.waiting = new Map();
    this.number = 0;
    this.owed = null;
    // whether the e-stop that is owed failed once already
    this.overdue = false;
    this.paying = 0;
    this.heard = 0;
    this.open();
  }

  get connected() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  /** Milliseconds since the last picture. */
  get silence() {
    return performance.now() - this.heard;
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/live`);
    this.socket.onmessage = (event) => this.take(JSON.parse(event.data));
    this.socket.onclose = () => this.lost();
  }

  take(message) {
    if (message.hello) {
      this.retry = FIRST_RETRY_MS;
      this.handlers.onHello(message.hello, message.history);
      this.handlers.onChange();
    } else if (message.history) {
      this.handlers.onPast(message.history);
    }
    if (message.picture) {
      this.heard = performance.now();
      this.handlers.onPicture(message.picture);
    }
    if (message.answer) {
      this.waiting.get(message.answer.id)?.(message.answer);
      this.waiting.delete(message.answer.id);
    }
  }

  lost() {
    for (const answer of this.waiting.values()) {
      answer({ ok: false, sentence: "The connection was lost before the order was answered." });
    }
    this.waiting.clear();
    this.handlers.onChange();
    setTimeout(() => this.open(), this.retry);
    this.retry = Math.min(2 * this.retry, LAST_RETRY_MS);
  }

  /** Send an order; resolves to {ok, sentence}. */
  order(message) {
    if (!this.connected) {
      return Promise.resolve({ ok: false, sentence: "Not sent: no connection to the monitor." });
    }
    const id = ++this.number;
    this.socket.send(JSON.stringify({ ...message, id }));
    return new Promise((resolve) => this.waiting.set(id, resolve));
  }

  /** Stop the swarm, now or as soon as there is a connection. */
  async stop() {
    this.owed = { do: "estop", on: true };
    return this.pay();
  }

  /** Take back an e-stop that was not carried out yet. */
  forgive() {
    this.owed = null;
    this.overdue = false;
  }

  /** Send the e-stop that is still owed, if there is one; a refused one stays owed. */
  async pay() {
    const debt = this.owed;
    if (!debt) return null;
    if (!this.connected) {
      this.overdue = true;
      const sentence = "E-stop not sent: no connection. It is sent as soon as there is one. " +
        "Use the robots' own stop buttons.";
      return { ok: false, sentence };
    }
    this.paying++;
    const answer = await this.order(debt);
    this.paying--;
    if (!answer.ok) this.overdue = Boolean(this.owed);
    else if (this.owed === debt) this.forgive();
    return answer;
  }
}
