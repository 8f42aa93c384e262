import { createPrivateKey, type JsonWebKey } from 'node:crypto'
import { httpsUrl } from '@bankside/service-kit/config'
import { type GuardedFetchOptions, hostOf } from '@bankside/service-kit/guarded-fetch'
import { z } from '@bankside/service-kit/postgres'
import type { OutsideCheckSettings, SigningKey } from './outside-check.ts'

const seconds = z
  .string()
  .regex(/^[0-9]{1,5}$/, 'must be a number of seconds')
  .default('120')
  .transform(Number)

const signingKey = z.string().transform((text, context): SigningKey => {
  try {
    const jwk = JSON.parse(text) as JsonWebKey & { kid?: unknown }
    const key = createPrivateKey({ key: jwk, format: 'jwk' })
    if (key.asymmetricKeyType === 'ed25519' && typeof jwk.kid === 'string') return { key, kid: jwk.kid }
  } catch {
    // Said below, without a part of the key.
  }
  context.issues.push({ code: 'custom', message: 'must be the private JWK of an Ed25519 key, with its kid', input: '' })
  return z.NEVER
})

/** Whom to ask about payments instead of the built-in check. Without an address nobody is. */
export const outsideCheckSettings = {
  RISK_CHECK_URL: httpsUrl.optional(),
  /** Whom to trust there, instead of OUTBOUND_CA. */
  RISK_CHECK_CA: z.string().optional(),
  /** What the worker shows there (mutual TLS). */
  RISK_CHECK_CERT: z.string().optional(),
  RISK_CHECK_KEY: z.string().optional(),
  /** What the worker signs with, instead or besides. */
  RISK_CHECK_SIGNING_KEY: signingKey.optional(),
  /** What becomes of a payment about which nobody answers, and how long it waits for that. */
  RISK_CHECK_UNAVAILABLE: z.enum(['review', 'refuse']).default('review'),
  RISK_CHECK_PATIENCE_SECONDS: seconds,
}

const fields = z.object(outsideCheckSettings)
type Given = z.infer<typeof fields>

/** Whoever is asked must know that it is the bank that asks. */
export function refuseUnsignedChecks(given: Partial<Given>, context: z.core.$RefinementCtx): void {
  const say = (name: string, message: string) => context.issues.push({ code: 'custom', message, path: [name], input: undefined })
  const { RISK_CHECK_URL: url, RISK_CHECK_CERT: cert, RISK_CHECK_KEY: key, RISK_CHECK_SIGNING_KEY: signing } = given
  if ((cert === undefined) !== (key === undefined)) say(cert === undefined ? 'RISK_CHECK_CERT' : 'RISK_CHECK_KEY', 'is missing')
  if (url !== undefined && cert === undefined && signing === undefined)
    say('RISK_CHECK_CERT', 'is missing, and so is RISK_CHECK_SIGNING_KEY: one of them says that it is the bank that asks')
}

/** Undefined where the built-in check is asked. */
export function outsideCheckOf(given: Given): OutsideCheckSettings | undefined {
  const { RISK_CHECK_URL: url, RISK_CHECK_SIGNING_KEY: signing } = given
  if (url === undefined) return undefined
  return { url, signing, unavailable: given.RISK_CHECK_UNAVAILABLE, patienceMs: given.RISK_CHECK_PATIENCE_SECONDS * 1_000 }
}

/** Less than the bank waits for a check. */
const takesAtMostMs = 8_000
const answerAtMostBytes = 512 * 1024

/**
 * Its host may be inside the bank's network, because it is the bank that names it. `OUTBOUND_PRIVATE_HOSTS` is not asked, nor is the host to
 * be named there: what third parties give as addresses of their own would lead there, too.
 */
export function outsideCheckGuard(
  given: Given & { readonly OUTBOUND_CA?: string | undefined },
  { url }: OutsideCheckSettings,
): GuardedFetchOptions {
  const { RISK_CHECK_CERT: cert, RISK_CHECK_KEY: key } = given
  return {
    ca: given.RISK_CHECK_CA ?? given.OUTBOUND_CA,
    credential: cert !== undefined && key !== undefined ? { cert, key } : undefined,
    privateHosts: [hostOf(new URL(url))],
    timeoutMs: takesAtMostMs,
    maxBytes: answerAtMostBytes,
  }
}
