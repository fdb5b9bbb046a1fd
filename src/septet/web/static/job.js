// A request that is answered later: submitted as a job, followed as its state changes, and shown once it has ended.

import { h } from "./dom.js";
import { ask } from "./service.js";

const ENDED = ["succeeded", "failed", "expired", "cancelled"];
// 410 is told of a job that is over and no longer kept, 404 of one that is of another key.
const GONE = [404, 410];
const PAUSE = 1000;

// Submits a body at `path`, and shows in `answer` what becomes of it. `refused` shows an error that the body gave rise to.
export async function follow(path, request, answer, refused) {
  const reply = await ask(path, request);
  const ticket = await reply.json();
  if (!reply.ok) {
    refused(reply.status, ticket);
    return;
  }
  const view = new JobView(ticket);
  answer.put(view.element);
  const job = await view.untilEnded();
  // The reader may have asked for something else meanwhile.
  if (!view.shown) return;
  if (job) await show(job, answer, refused);
  else answer.fail(`The job ${ticket.job_id} is no longer kept.`);
}

class JobView {
  constructor(ticket) {
    this.path = `/job/${ticket.job_id}`;
    this.state = h("strong", { id: "job-state" }, ticket.state);
    this.detail = h("span", { class: "muted" });
    this.button = h("button", { type: "button", class: "small", id: "job-cancel", onclick: () => this.cancel() }, "Cancel");
    this.element = h("div", {}, h("h3", {}, "Job"),
      h("p", {}, this.state, " ", this.detail), h("div", { class: "actions" }, this.button),
      h("p", { class: "muted meta" }, `Job ${ticket.job_id}: ${ticket.durability}`));
  }

  get shown() {
    return this.element.isConnected;
  }

  // The job in its last state; null where the reader looks at something else, or the job is no longer kept.
  async untilEnded() {
    let known = "";
    while (this.shown) {
      // As an EventSource asks, which would send no API key.
      const headers = known ? { "last-event-id": known } : {};
      const reply = await ask(`${this.path}/events`, { headers }).catch(() => null);
      if (reply && GONE.includes(reply.status)) return null;
      if (reply && reply.ok) {
        for await (const event of events(reply.body)) {
          if (!this.shown) return null;
          known = event.get("id");
          const job = JSON.parse(event.get("data"));
          this.state.textContent = job.state;
          const attempt = job.attempts ? `attempt ${job.attempts} of ${job.max_attempts}` : "";
          const done = job.state === "running" && job.progress ? `, ${Math.round(100 * job.progress)} % done` : "";
          this.detail.textContent = job.waiting_for ? `for ${job.waiting_for}` : attempt + done;
          if (ENDED.includes(job.state)) return job;
        }
      }
      // The job outlives a server that is away.
      await new Promise((resolve) => { setTimeout(resolve, PAUSE); });
    }
    return null;
  }

  async cancel() {
    this.button.disabled = true;
    await ask(this.path, { method: "DELETE" }).catch(() => { this.button.disabled = false; });
  }
}

// Server-sent events as maps of their fields; comments are none. They end where the connection does.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read().catch(() => ({ done: true }));
      if (done) return;
      text += value;
      const whole = text.split("\n\n");
      text = whole.pop();
      for (const each of whole) {
        const event = new Map(each.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
        if (event.has("data")) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function show(job, answer, refused) {
  if (job.answer_href) {
    const reply = await ask(`/job/${job.job_id}/answer`);
    const body = await reply.json();
    if (job.state === "succeeded") {
      answer.show(body, null, times(job));
      return;
    }
    refused(reply.status, body);
    return;
  }
  const why = job.error ? `: ${job.error.message}` : "";
  answer.fail(`The job ${job.job_id} is ${job.state}${why}`);
}

function times(job) {
  const seconds = (from, to) => `${((Date.parse(to) - Date.parse(from)) / 1000).toFixed(3)} s`;
  return `Job ${job.job_id}, waited ${seconds(job.submitted_at, job.started_at)}, ran ${seconds(job.started_at, job.ended_at)}`;
}
