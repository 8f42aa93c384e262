import { randomBytes, type X509Certificate } from 'node:crypto'
import { detailsOf } from './certificate-details.ts'
import type { IssuerOf } from './certificate-issuer.ts'
import type { Clock } from './clock.ts'
import { leastRecentlyUsed } from './least-recently-used.ts'
import type { Log } from './log.ts'
import { needsNoCheck, type OcspAnswer, OcspError, ocspRequest, readOcspResponse } from './ocsp-message.ts'
import type { RevocationStatus } from './revocation-lists.ts'

export type OcspOptions = {
  readonly issuerOf: IssuerOf
  /** Sends a request to a responder, as DER; without it, what others got and kept is read. */
  readonly ask?: (url: string, request: Buffer) => Promise<Uint8Array>
  /** The last response that was kept for a certificate, by its fingerprint. */
  readonly recall: (fingerprint: string) => Promise<Uint8Array | undefined>
  readonly keep?: (fingerprint: string, response: Uint8Array) => Promise<void>
  /** Whether a responder's own certificate was taken back. */
  readonly isRevoked: (responder: X509Certificate) => boolean
  /** How long after a response has ended it still serves those who were good. */
  readonly staleAtMostMs: number
  readonly clock: Clock
  readonly log: Log
}

export type OcspAnswers = {
  /** What the last response says; undefined where none says anything. */
  known(certificate: X509Certificate): RevocationStatus | undefined
  /** Sees to it that enough is known. @returns undefined where that is so now, which is nearly always. */
  ask(certificate: X509Certificate): Promise<void> | undefined
}

/** Asked again behind the back of whoever is served meanwhile, so that nobody who comes all the time waits. */
const refreshAfterMs = 5 * 60_000
/** Whoever comes after a longer while waits: it may have been revoked since (CERT-04, within minutes). */
const waitAfterMs = 15 * 60_000
/** A responder that is down costs one request its timeout in so long, and not each. */
const askAgainMs = 30_000
/** Somebody else may just be asking. */
const readAgainMs = 1_000
const rememberedAtMost = 10_000

type Responder = { readonly issuer: X509Certificate; readonly url: string }
type Entry = { responder?: Responder | 'none'; answer?: OcspAnswer; answeredAtMs?: number; triedAtMs?: number; asking?: Promise<void> }

/**
 * What the authorities of client certificates answer when they are asked about one (RFC 6960): kept for as long as it holds, asked
 * again much sooner. A certificate is asked about where itself says, once at a time.
 */
export function openOcspAnswers(options: OcspOptions): OcspAnswers {
  const { issuerOf, clock, staleAtMostMs } = options
  const retryAfterMs = options.ask === undefined ? readAgainMs : askAgainMs
  const entries = leastRecentlyUsed<string, Entry>(rememberedAtMost)
  const ofCertificate = new WeakMap<X509Certificate, Entry>()
  const entryOf = (certificate: X509Certificate): Entry => {
    const held = ofCertificate.get(certificate)
    if (held !== undefined) return held
    const { fingerprint256 } = certificate
    const entry = entries.get(fingerprint256) ?? {}
    entries.set(fingerprint256, entry)
    ofCertificate.set(certificate, entry)
    return entry
  }
  const refresh = async (certificate: X509Certificate, { issuer, url }: Responder, entry: Entry) => {
    entry.triedAtMs = clock.now().getTime()
    const before = entry.answer
    await obtain(options, { certificate, issuer, url, entry })
    if (entry.answer !== undefined && (entry.answer !== before || options.ask === undefined)) entry.answeredAtMs = entry.triedAtMs
  }
  return {
    known: (certificate) => {
      const { answer } = entryOf(certificate)
      return answer && statusOf(answer, clock.now(), staleAtMostMs)
    },
    ask(certificate) {
      const entry = entryOf(certificate)
      const nowMs = clock.now().getTime()
      const { answeredAtMs = Number.NEGATIVE_INFINITY, triedAtMs = Number.NEGATIVE_INFINITY } = entry
      if (entry.asking === undefined) {
        if (nowMs - answeredAtMs < refreshAfterMs || nowMs - triedAtMs < retryAfterMs) return undefined
        entry.responder ??= responderOf(certificate, issuerOf)
        if (entry.responder === 'none') return undefined
        entry.asking = refresh(certificate, entry.responder, entry).finally(() => delete entry.asking)
      }
      const isEnough = nowMs - answeredAtMs < waitAfterMs && entry.answer !== undefined && entry.answer.nextUpdate.getTime() >= nowMs
      return isEnough ? undefined : entry.asking
    },
  }
}

/** Where an authority says that its certificate is asked about. Its word, not that of whoever holds the certificate. */
function responderOf(certificate: X509Certificate, issuerOf: IssuerOf): Responder | 'none' {
  const [issuer, url] = [issuerOf(certificate), detailsOf(certificate).ocspResponders.find((each) => /^https?:\/\//.test(each))]
  return issuer === undefined || url === undefined ? 'none' : { issuer, url }
}

function statusOf({ status, nextUpdate }: OcspAnswer, now: Date, staleAtMostMs: number): RevocationStatus | undefined {
  if (status === 'revoked') return 'revoked'
  if (status === 'unknown') return undefined
  const overdueMs = now.getTime() - nextUpdate.getTime()
  return overdueMs <= 0 ? 'good' : overdueMs <= staleAtMostMs ? 'stale' : 'unknown'
}

type Asked = { readonly certificate: X509Certificate; readonly issuer: X509Certificate; readonly url: string; readonly entry: Entry }

/** Never rejects: what cannot be got stays what it was. What was kept comes first, so that nothing older is taken for new. */
async function obtain(options: OcspOptions, asked: Asked): Promise<void> {
  const { ask, keep, recall, log } = options
  const { certificate, issuer, url, entry } = asked
  const { fingerprint256: fingerprint, serialNumber } = certificate
  if (entry.answer === undefined || ask === undefined)
    try {
      const kept = await recall(fingerprint)
      if (kept !== undefined) adopt(options, asked, kept, undefined)
    } catch (err) {
      log.warn({ err, serialNumber }, 'what was kept of a certificate could not be read')
    }
  if (ask === undefined) return
  try {
    const nonce = randomBytes(nonceBytes)
    const response = await ask(url, ocspRequest({ certificate, issuer, nonce }))
    adopt(options, asked, response, nonce)
    await keep?.(fingerprint, response)
  } catch (err) {
    log.warn({ err, url, serialNumber }, 'nobody said whether a certificate was revoked')
  }
}

/** RFC 9654 section 2.1. */
const nonceBytes = 32

/** @throws {OcspError} for a response that says nothing, or nothing new when it was asked for. */
function adopt(
  { clock, isRevoked }: OcspOptions,
  { certificate, issuer, entry }: Asked,
  response: Uint8Array,
  nonce: Buffer | undefined,
): void {
  const now = clock.now()
  const { responder, ...answer } = readOcspResponse(response, { certificate, issuer, nonce, now })
  if (responder !== undefined && !needsNoCheck(responder) && isRevoked(responder)) throw new OcspError('the responder was revoked')
  if (nonce !== undefined && answer.nextUpdate < now) throw new OcspError('the response has ended')
  // An old response, played back, would make good again who was revoked since.
  if (entry.answer !== undefined && entry.answer.thisUpdate > answer.thisUpdate)
    throw new OcspError('the response is older than the last one')
  entry.answer = answer
}
