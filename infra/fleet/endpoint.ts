import * as pulumi from "@pulumi/pulumi";
import { ansibleDigest } from "../ansible/digest.ts";
import { secretSudoVars } from "./sudo-passwords.ts";
import type { StackConfig } from "../config/schema.ts";
import { UserError } from "../../common/user-error.ts";
import { addressFrom, hostAndPort } from "../ssh/address.ts";
import type { Machine } from "../ssh/machine.ts";
import { readCertificate } from "./certificate.ts";
import type { Host } from "./host.ts";
import { ownerVars, type StackOwner } from "./owner.ts";
import { Playbook } from "./rollout/playbook.ts";

export type EndpointConfig = NonNullable<StackConfig["endpoint"]>;

/** Port on which a host's watch answers a load balancer's agent check. */
export const agentPort = 9111;

/** The host that the endpoint is on: one of the fleet, or one of its own. @throws UserError where there is no such host */
export function endpointHost(
  { host }: EndpointConfig,
  fleet: readonly Host[],
): {
  name: string;
  connection: pulumi.Input<Machine>;
  secretVars: Record<string, pulumi.Input<string>>;
  address: pulumi.Input<string>;
  member?: Host;
} {
  if (typeof host !== "string") {
    const { sudoPassword, ...connection } = host;
    const secretVars = secretSudoVars(sudoPassword);
    return { name: host.name, connection, secretVars, address: host.address };
  }
  const member = fleet.find(({ name }) => name === host);
  if (member === undefined)
    throw new UserError({
      where: "pipress:endpoint.host",
      what: `the fleet has no host "${host}"`,
      remedy: `one of ${fleet.map(({ name }) => name).join(", ")}, or a map of name, address and hostKey`,
    });
  return {
    name: member.name,
    connection: member.connection,
    secretVars: member.secretVars,
    address: member.connection.apply(({ address }) => address),
    member,
  };
}

/**
 * Declares HAProxy in front of all hosts.
 * @param modelOf name of the model that a host serves: what a request asks for
 * @param answerSeconds how long the slowest host may be at work on one request
 * @param takeOver whether it may take the place of another stack's, where its host does not say so itself
 * @returns the base URL for OpenAI clients, with `/v1`
 */
export function makeEndpoint(
  config: EndpointConfig,
  fleet: readonly Host[],
  modelOf: (host: Host) => string,
  answerSeconds: pulumi.Input<number>,
  owner: StackOwner,
  takeOver: boolean,
): pulumi.Output<string> {
  const { name, connection, secretVars, address, member } = endpointHost(config, fleet);
  const inside = member?.isVirtual ?? false;
  // As the role load_balancer takes them.
  const servers = fleet.map((host) =>
    host.ports.apply(({ http, agent }) => ({
      name: host.name,
      model: modelOf(host),
      address: addressFrom(inside, host),
      port: http,
      agentPort: agent ?? agentPort,
      parallel: host.server.parallel,
    })),
  );
  const { port, certificate, allowFrom } = config;
  new Playbook(
    "endpoint",
    {
      playbook: "ansible/endpoint.yml",
      removal: "ansible/endpoint-remove.yml",
      leftBehind: "the load balancer (`systemctl disable --now pipress-balancer`) and /etc/pipress",
      contentDigest: ansibleDigest(),
      host: connection,
      vars: {
        ...ownerVars(owner, name),
        pipress_endpoint: {
          ...{ port, answerSeconds, servers: pulumi.all(servers) },
          ...(allowFrom !== undefined && { allowFrom }),
        },
      },
      routeVars: { pipress_take_over: member?.takeOver ?? takeOver },
      secretVars: {
        ...secretVars,
        ...(certificate !== undefined && { pipress_endpoint_certificate: readCertificate(certificate) }),
      },
    },
    {
      dependsOn: fleet.flatMap(({ machine }) => machine ?? []),
      deletedWith: member?.machine,
    },
  );
  const publicPort = member?.isVirtual ? member.ports.apply(({ endpoint = port }) => endpoint) : port;
  const scheme = certificate === undefined ? "http" : "https";
  return pulumi
    .all([address, publicPort])
    .apply(([host, port]) => `${scheme}://${hostAndPort(host, port)}/v1`);
}
