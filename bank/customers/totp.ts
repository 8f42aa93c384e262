import { seal, unseal } from '@bankside/service-kit/seal'
import { generateSecret, generateSync, verifySync } from 'otplib'
import type { CustomerId } from '../ids.ts'

/** RFC 6238 with SHA-1, six digits, 30 seconds: what every authenticator app does. */
const stepSeconds = 30
const secretBytes = 20

export const newTotpSecret = (): string => generateSecret({ length: secretBytes })

/** The code that an authenticator shows. For the sandbox and for tests: the bank itself only compares. */
export const totpCode = (secret: string, now: Date): string => generateSync({ secret, epoch: epochSeconds(now) })

/** The step that a code is of, within one step of now in either direction; undefined for a wrong code. */
export function matchTotp(secret: string, code: string, now: Date): bigint | undefined {
  if (!/^\d{6}$/.test(code)) return undefined
  const result = verifySync({ secret, token: code, epoch: epochSeconds(now), epochTolerance: stepSeconds })
  return result.valid && 'timeStep' in result ? BigInt(result.timeStep) : undefined
}

const epochSeconds = (now: Date): number => Math.floor(now.getTime() / 1000)
const contextOf = (customerId: CustomerId): string => `customers.customer/${customerId}/totp_secret`

/** The key of customers' data; where it has changed, the one that seals first, then those that it replaced. */
export type DataKeys = Uint8Array | readonly [Uint8Array, ...Uint8Array[]]

const newestOf = (dataKeys: DataKeys): Uint8Array => (dataKeys instanceof Uint8Array ? dataKeys : dataKeys[0])

/** Kept sealed (SCA-08), for this customer's row only. */
export const sealTotpSecret = (dataKeys: DataKeys, customerId: CustomerId, secret: string): Buffer =>
  seal(newestOf(dataKeys), secret, contextOf(customerId))
export const unsealTotpSecret = (dataKeys: Uint8Array | readonly Uint8Array[], customerId: CustomerId, sealed: Uint8Array): string =>
  unseal(dataKeys, sealed, contextOf(customerId)).toString()
