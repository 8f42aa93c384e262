import { Unavailable } from '@bankside/service-kit/refusal'
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

/** Of the four threads that a process has, and that verify signatures too: whoever floods the sign-in page stops no third party. */
const checksAtOnce = 2
/** Waiting ones included: as many as are done in a second or two. */
const underWayAtMost = 40
let underWay = 0
let checking = 0
const waiting: (() => void)[] = []

/** Goes round an attempt before it is counted, because one that is not checked is none. @throws {Unavailable} when too many are under way. */
export async function unlessFlooded<Result>(attempt: () => Promise<Result>): Promise<Result> {
  if (underWay >= underWayAtMost) throw new Unavailable('too many passwords are being checked')
  underWay++
  try {
    return await attempt()
  } finally {
    underWay--
  }
}

async function inTurn<Result>(check: () => Promise<Result>): Promise<Result> {
  if (checking < checksAtOnce) checking++
  else await new Promise<void>((turn) => void waiting.push(turn))
  try {
    return await check()
  } finally {
    const next = waiting.shift()
    if (next === undefined) checking--
    else next()
  }
}

/** Takes the same time whether or not there is a user: `stored` is undefined when there is none. */
export async function matchesPassword(stored: string | undefined, password: string): Promise<boolean> {
  const matches = await inTurn(() => verify(stored ?? nobodysHash, password.slice(0, passwordLimit).normalize('NFKC'), cost))
  return matches && stored !== undefined && password.length <= passwordLimit
}
