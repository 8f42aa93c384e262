import { isAscii } from 'node:buffer'
import { fromBase64url } from './base64url.ts'
import type { VerificationKey } from './signature-keys.ts'

/** As they came. */
export type Segments = { readonly header: string; readonly payload: string; readonly signature: string; readonly signed: Buffer }

/** Of a compact JWS (RFC 7515 section 7.1). Undefined unless there are three, none of them empty. */
export function segmentsOf(jws: string): Segments | undefined {
  const [header = '', payload = '', signature = '', ...others] = jws.split('.')
  if (header === '' || payload === '' || signature === '' || others.length > 0) return undefined
  return { header, payload, signature, signed: Buffer.from(jws.slice(0, -signature.length - 1), 'latin1') }
}

/** The payload, `forged` if its signature is not good, undefined where something is not base64url as it ought to be. The header is NOT looked at. */
export function verifiedPayload({ payload, signature, signed }: Segments, verify: VerificationKey): Buffer | 'forged' | undefined {
  const [payloadBytes, signatureBytes] = [fromBase64url(payload), fromBase64url(signature)]
  if (payloadBytes === undefined || signatureBytes === undefined) return undefined
  return verify(signed, signatureBytes) ? payloadBytes : 'forged'
}

/** Undefined for what is no JSON object, or has letters beyond ASCII, which need a closer look. */
export function plainObjectIn(bytes: Buffer): Record<string, unknown> | undefined {
  if (!isAscii(bytes)) return undefined
  try {
    const value: unknown = JSON.parse(bytes.toString('latin1'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined // Whoever looks closer says what is wrong with it.
  }
}
