/** The environment variable with the password that `sudo` asks for, on hosts that have none in the configuration. */
export const sudoPasswordVariable = "PIPRESS_SUDO_PASSWORD";

/** A host's password as secret variables of a play, where it has one; Ansible hands it to sudo's input. */
export function sudoVars<Password>(password: Password | undefined): Record<string, Password> {
  return password === undefined ? {} : { ansible_become_password: password };
}

/** The environment's, read when a play runs, so that no state holds it. */
export function sudoPasswordFromEnvironment(): Record<string, string> {
  return sudoVars(process.env[sudoPasswordVariable] || undefined);
}
