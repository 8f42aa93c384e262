import { hash, type Options, verify } from '@node-rs/argon2'

/** argon2id (algorithm 2) as OWASP asks for at least: 19 MiB, two passes, one lane. */
const cost = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 } satisfies Options

/** Longer ones are refused when they are set, and wrong when they are tried. */
export const passwordLimit = 128

/** The hash of a password nobody has, at the same cost: what an unknown user's password is compared with. */
export const nobodysHash = '$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'

export async function hashPassword(password: string): Promise<string> {
  if (password.length > passwordLimit) throw new Error(`a password has at most ${passwordLimit} characters`)
  return hash(password.normalize('NFKC'), cost)
}

/** Takes the same time whether or not there is a user: `stored` is undefined when there is none. */
export async function matchesPassword(stored: string | undefined, password: string): Promise<boolean> {
  const matches = await verify(stored ?? nobodysHash, password.slice(0, passwordLimit).normalize('NFKC'), cost)
  return matches && stored !== undefined && password.length <= passwordLimit
}
