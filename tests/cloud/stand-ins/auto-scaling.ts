import { createServer, type Server } from "node:http";

/** Stands in for the API of Auto Scaling: groups that do as they are told, and starts that fail as they are told to. */
export class AutoScalingStandIn {
  /** Desired capacity, by group that was ever asked for an instance. */
  readonly capacity = new Map<string, number>();
  /** What AWS says of attempts to start an instance, the latest first; empty while every start succeeds. */
  failures: string[] = [];

  private constructor(
    readonly endpoint: string,
    private readonly server: Server,
  ) {}

  static async start(): Promise<AutoScalingStandIn> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const made = new AutoScalingStandIn(`http://127.0.0.1:${port}`, server);
    server.on("request", (request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () =>
        response.setHeader("Content-Type", "text/xml").end(made.answer(new URLSearchParams(body))),
      );
    });
    return made;
  }

  async stop(): Promise<void> {
    await new Promise((resolve) => this.server.close(resolve));
  }

  private answer(call: URLSearchParams): string {
    const action = call.get("Action") ?? "";
    if (action === "SetDesiredCapacity")
      this.capacity.set(call.get("AutoScalingGroupName") ?? "", Number(call.get("DesiredCapacity")));
    const inner = { DescribeAutoScalingGroups: this.groups, DescribeScalingActivities: this.activities }[
      action
    ];
    return `<${action}Response><${action}Result>${inner?.(call) ?? ""}</${action}Result></${action}Response>`;
  }

  private readonly groups = (call: URLSearchParams): string => {
    const names = [...call.entries()]
      .filter(([key]) => key.startsWith("AutoScalingGroupNames."))
      .map(([, name]) => name);
    const members = names.map((name) => {
      const capacity = this.capacity.get(name) ?? 0;
      return `<member><AutoScalingGroupName>${name}</AutoScalingGroupName><DesiredCapacity>${capacity}</DesiredCapacity><Tags/></member>`;
    });
    return `<AutoScalingGroups>${members.join("")}</AutoScalingGroups>`;
  };

  private readonly activities = (): string => {
    const now = new Date().toISOString();
    const members = this.failures.map(
      (message) =>
        `<member><StatusCode>Failed</StatusCode><StartTime>${now}</StartTime><StatusMessage>${message}</StatusMessage></member>`,
    );
    return `<Activities>${members.join("")}</Activities>`;
  };
}
