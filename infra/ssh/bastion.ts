import pLimit, { type LimitFunction } from "p-limit";
import { hostAndPort } from "./address.ts";
import { ConnectionFailure } from "./failure.ts";
import type { Hop } from "./machine.ts";
import type { Session } from "./session.ts";

/** How many sign in at a bastion at a time: beyond ten, others included, sshd drops some (MaxStartups). */
const signingIn = 4;

/** Milliseconds for which what a bastion answered holds. */
const keep = 30_000;

/** A bastion that hosts are being reached through. */
interface Gate {
  /** The host that asked it first, and tells what is wrong with it. */
  askedFor: string;
  failure: Promise<ConnectionFailure | undefined>;
  limit: LimitFunction;
}

const gates = new Map<string, Gate>();

/**
 * Connects to a host, a few of those behind one bastion at a time. Whether the bastion lets anybody in is asked once for all
 * hosts behind it, so that its defect is told once, as its own.
 * @throws ConnectionFailure of the bastion, which a further host only points to
 */
export async function throughBastion(session: Session, connect: () => Promise<void>): Promise<void> {
  const { name, bastion } = session.machine;
  if (bastion === undefined) return connect();
  const gate = gateFor(session, bastion);
  const failure = await gate.failure;
  if (failure === undefined) return gate.limit(connect);
  if (gate.askedFor === name) throw failure;
  throw failure.with({
    where: name,
    what: `the bastion ${hostAndPort(bastion.address, bastion.port)} is in the way`,
    remedy: `see what is told of ${gate.askedFor} / bastion`,
  });
}

function gateFor(session: Session, bastion: Hop): Gate {
  const key = JSON.stringify(bastion);
  const known = gates.get(key);
  if (known !== undefined) return known;
  const failure = session.tryBastion(bastion);
  const gate: Gate = { askedFor: session.machine.name, failure, limit: pLimit(signingIn) };
  gates.set(key, gate);
  const forget = (): void => {
    setTimeout(() => gates.delete(key), keep).unref();
  };
  failure.then(forget, forget);
  return gate;
}
