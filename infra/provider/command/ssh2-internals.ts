/**
 * Two things that the SSH protocol has and ssh2's public interface lacks: whether the server accepted an environment
 * variable, and a signal to a command whose input is already closed. The only place that reaches into ssh2 (pinned;
 * the tests against a real sshd would tell of a change).
 */
import type { Client, ClientChannel } from "ssh2";

interface Channel extends ClientChannel {
  outgoing: { id: number; state: string };
  /** Called in order, one for each reply to a request that wanted one. */
  _callbacks: ((refused: unknown) => void)[];
}

interface Internals {
  _protocol: {
    env(channel: number, name: string, value: string, wantReply: boolean): void;
    exec(channel: number, command: string, wantReply: boolean): void;
    signal(channel: number, name: string): void;
  };
  _chanMgr: { get(channel: number): Channel };
}

/**
 * Starts a command with environment variables, each confirmed by the server (which must list it in AcceptEnv) before the
 * command starts. ssh2 itself sends them without asking for an answer.
 * @param onRefused called for each variable that the server refuses; when it throws, the command is not started
 */
export function execWithEnvironment(
  client: Client,
  command: string,
  environment: Record<string, string>,
  onRefused: (name: string) => void,
): Promise<ClientChannel> {
  const { _protocol: protocol, _chanMgr: channels } = client as unknown as Internals;
  const { env, exec } = protocol;
  return new Promise((resolve, reject) => {
    let unanswered = 0;
    let start: (() => void) | undefined;
    const answered = (channel: Channel) => {
      unanswered--;
      if (unanswered > 0) return;
      try {
        for (const name of refused) onRefused(name);
        start?.();
      } catch (error) {
        channel.close();
        reject(error as Error);
      }
    };
    const refused: string[] = [];
    protocol.env = (id, name, value) => {
      const channel = channels.get(id);
      unanswered++;
      channel._callbacks.push((wasRefused) => {
        if (wasRefused) refused.push(name);
        answered(channel);
      });
      env.call(protocol, id, name, value, true);
    };
    protocol.exec = (id, text, wantReply) => {
      start = () => {
        exec.call(protocol, id, text, wantReply);
      };
      if (unanswered === 0) start();
    };
    client.exec(command, { env: environment }, (error, channel) => {
      protocol.env = env.bind(protocol);
      protocol.exec = exec.bind(protocol);
      if (error) reject(error);
      else resolve(channel);
    });
  });
}

/** Sends a signal, e.g. `TERM`, to the remote command. Servers may ignore it; OpenSSH does not. */
export function sendSignal(client: Client, channel: ClientChannel, name: string): void {
  const { outgoing } = channel as Channel;
  if (outgoing.state !== "closed") (client as unknown as Internals)._protocol.signal(outgoing.id, name);
}
