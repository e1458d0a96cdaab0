import { createSocket } from "node:dgram";
import { lookup, lookupService } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

/** A Raspberry Pi on this network, known by its hardware address. */
export interface Neighbour {
  address: string;
  /** Where a name server, or mDNS, knows one. */
  name?: string;
}

/** Hardware addresses of Raspberry Pis begin so (IEEE's register: Raspberry Pi Foundation, Trading and Ltd). */
const pis = ["28:cd:c1", "2c:cf:67", "88:a2:9e", "b8:27:eb", "d8:3a:dd", "dc:a6:32", "e4:5f:01"];

/** The name that a card has as it is written. */
const STOCK_NAME = "raspberrypi.local";
/** Port 9, `discard`: nobody answers, and asking for the hardware address is all that it is for. */
const DISCARD = 9;
/** Neighbours answer within milliseconds. */
const ANSWER_MS = 1000;
/** Larger networks are not gone through. */
const MOST_ADDRESSES = 1024;

/**
 * Raspberry Pis on the networks of this machine: all addresses there are sent an empty datagram, so that the kernel asks for
 * their hardware addresses, and its table is read.
 */
export async function findPis(): Promise<Neighbour[]> {
  const socket = createSocket("udp4");
  socket.on("error", () => undefined); // of addresses where nobody is
  for (const address of ownNetworks()) socket.send("", DISCARD, address, () => undefined);
  await sleep(ANSWER_MS);
  socket.close();
  const byTable = parseArpTable(readFileSync("/proc/net/arp", "utf8"));
  const byName = await lookup(STOCK_NAME, { family: 4 }).then(
    ({ address }) => [address],
    () => [],
  );
  return Promise.all(
    [...new Set([...byTable, ...byName])].map(async (address): Promise<Neighbour> => {
      const name = await lookupService(address, 22).then(
        ({ hostname }) => hostname,
        () => address,
      );
      return name === address ? { address } : { address, name };
    }),
  );
}

/** Addresses of Raspberry Pis. @param table content of /proc/net/arp */
export function parseArpTable(table: string): string[] {
  return table.split("\n").flatMap((line) => {
    const [address, , flags, hardware = ""] = line.trim().split(/\s+/);
    // 0x2: the address was answered for.
    const isKnown = (Number(flags) & 2) !== 0 && pis.includes(hardware.slice(0, 8).toLowerCase());
    return address !== undefined && isKnown ? [address] : [];
  });
}

function ownNetworks(): string[] {
  const cards = Object.values(networkInterfaces()).flatMap((card) => card ?? []);
  return cards
    .filter(({ family, internal }) => family === "IPv4" && !internal)
    .flatMap(({ address, netmask }) => addressesOf(address, netmask));
}

/** All addresses of a network but its own, its broadcast and ours; none of a large one. */
export function addressesOf(address: string, netmask: string): string[] {
  const [own, mask] = [toNumber(address), toNumber(netmask)];
  const count = 2 ** 32 - mask;
  if (count > MOST_ADDRESSES) return [];
  const first = own - (own % count);
  return Array.from({ length: Math.max(0, count - 2) }, (_, index) => first + 1 + index)
    .filter((other) => other !== own)
    .map(toText);
}

function toNumber(address: string): number {
  return address.split(".").reduce((number, part) => number * 256 + Number(part), 0);
}

function toText(number: number): string {
  return [24, 16, 8, 0].map((bits) => Math.floor(number / 2 ** bits) % 256).join(".");
}
