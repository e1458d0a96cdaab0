/** A member that is there, and how its work is to be told to have ended. */
interface Present<Member, Result> {
  member: Member;
  resolve: (result: Result) => void;
  reject: (reason: unknown) => void;
}

/** What works by the same terms and can begin together. */
interface Group<Member, Result> {
  key: string;
  signal: AbortSignal;
  /** How many are still on their way. */
  coming: number;
  present: Present<Member, Result>[];
  timer: NodeJS.Timeout | undefined;
}

/** One that was announced and has to say that it is there, or that it will not come. */
export interface Ticket<Member, Result> {
  /** Resolves with what came of this member when the work is done. */
  join(member: Member): Promise<Result>;
  /** Nobody waits for it any more; of no effect after `join`. */
  leave(): void;
}

/**
 * Brings together what is begun at about the same time, so that it can be done in one go: the work begins when everybody
 * who was announced is there, or when nobody has come for a while. Whoever comes later is of the next group.
 */
export class Gathering<Member extends { name: string }, Result> {
  readonly #work: (members: readonly Member[]) => Promise<ReadonlyMap<Member, Result>>;
  readonly #patience: number;
  #groups: Group<Member, Result>[] = [];

  /**
   * @param work of one group; what it throws fails all of it
   * @param patience milliseconds for which those who are there wait for the next one
   */
  constructor(work: (members: readonly Member[]) => Promise<ReadonlyMap<Member, Result>>, patience: number) {
    this.#work = work;
    this.#patience = patience;
  }

  /**
   * @param key what has to be equal for members to work together
   * @param signal what cancels the work: members that others cancel do not work together
   */
  announce(key: string, signal: AbortSignal): Ticket<Member, Result> {
    const found = this.#groups.find((group) => group.key === key && group.signal === signal);
    const group = found ?? { key, signal, coming: 0, present: [], timer: undefined };
    if (found === undefined) this.#groups.push(group);
    group.coming += 1;
    let gone = false;
    const arrive = (): void => {
      if (gone) return;
      gone = true;
      this.#arrived(group);
    };
    return {
      join: (member) =>
        new Promise((resolve, reject) => {
          // Two members of one name would be one in an inventory.
          if (group.present.some((present) => present.member.name === member.name)) this.#begin(group);
          group.present.push({ member, resolve, reject });
          arrive();
        }),
      leave: arrive,
    };
  }

  #arrived(group: Group<Member, Result>): void {
    group.coming -= 1;
    if (group.coming === 0) {
      this.#groups = this.#groups.filter((each) => each !== group);
      this.#begin(group);
    } else if (group.present.length > 0) {
      clearTimeout(group.timer);
      group.timer = setTimeout(() => {
        this.#begin(group);
      }, this.#patience);
    }
  }

  #begin(group: Group<Member, Result>): void {
    clearTimeout(group.timer);
    group.timer = undefined;
    // By name: who connected first is chance, and the log is named after the first.
    const present = group.present.splice(0).sort((a, b) => a.member.name.localeCompare(b.member.name));
    if (present.length === 0) return;
    this.#work(present.map(({ member }) => member)).then(
      (results) => {
        for (const { member, resolve } of present) resolve(results.get(member) as Result);
      },
      (error: unknown) => {
        for (const { reject } of present) reject(error);
      },
    );
  }
}
