import { expect, test } from "vitest";
import { addressFrom, hostAndPort } from "./address.ts";

test("a virtual host finds its like at this machine's address from inside, everybody else where they are", () => {
  expect(addressFrom(true, { isVirtual: true, address: "127.0.0.1" })).toBe("10.0.2.2");
  expect(addressFrom(false, { isVirtual: true, address: "127.0.0.1" })).toBe("127.0.0.1");
  expect(addressFrom(true, { isVirtual: false, address: "10.0.0.7" })).toBe("10.0.0.7");
});

test("an IPv6 address is told from its port by brackets", () => {
  expect(hostAndPort("2001:db8::7", 8080)).toBe("[2001:db8::7]:8080");
  expect(hostAndPort("pi-1.local", 8080)).toBe("pi-1.local:8080");
});
