import 'reflect-metadata' // First: @peculiar/x509 does not load without it.
import type { X509Certificate } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { X509Certificate as DecodedCertificate, X509Crl } from '@peculiar/x509'
import { issuerAmong } from './certificate-issuer.ts'
import type { Clock } from './clock.ts'
import type { Log } from './log.ts'
import { onceForEach } from './remembered.ts'

/**
 * - `good`: a list of its issuer that is in force does not name it.
 * - `stale`: the last list did not name it, and the next one is overdue, but not for long.
 * - `unknown`: there is no list of its issuer, or none that could still be relied on.
 */
export type RevocationStatus = 'good' | 'revoked' | 'stale' | 'unknown'

export type RevocationLists = {
  status(certificate: X509Certificate): RevocationStatus
  /** Whether there is a list from everywhere. */
  complete(): boolean
  /** Gets the lists again. Never rejects: what cannot be got stays what it was. */
  refresh(): Promise<void>
  close(): void
}

export type RevocationListsOptions = {
  /** Where the lists are; with none, every certificate is good. */
  readonly urls: readonly string[]
  /** PEM: whose signature a list needs. */
  readonly authorities: string
  /** The DER of a list; undefined where there is none yet. */
  readonly read: (url: string) => Promise<Uint8Array | undefined>
  /** Is given a list once it is known to be its authority's: when it is new, and once a day. */
  readonly keep?: (url: string, der: Uint8Array) => Promise<void>
  /** How long after a list should have been replaced it still serves those who were good. */
  readonly staleAtMostMs: number
  readonly clock: Clock
  readonly log: Log
}

type List = {
  readonly issuer: X509Certificate
  readonly serials: ReadonlySet<bigint>
  readonly thisUpdate: Date
  readonly nextUpdate: Date
}

/**
 * For a process that begins: whoever publishes the lists, or gets them for it, may begin at the same time.
 *
 * @returns when there is a list from everywhere, or after a while without: then certificates are not known to be good.
 */
export async function firstLists(lists: Pick<RevocationLists, 'refresh' | 'complete'>): Promise<void> {
  for (let attempt = 1; attempt <= firstAttempts; attempt++) {
    await lists.refresh()
    if (lists.complete()) return
    await sleep(firstRetryMs)
  }
}

const firstAttempts = 40
const firstRetryMs = 250

const keptAgainAfterMs = 86_400_000
/** Revoked certificates are refused within minutes (CERT-04). */
const refreshEveryMs = 60_000
/** Deltas and lists for a part of the certificates say so with these: whoever reads one as the whole would miss something. */
const partial = ['2.5.29.27', '2.5.29.28']

/** What the authorities of client certificates have taken back (RFC 5280 section 5), as they last said. */
export function openRevocationLists(options: RevocationListsOptions): RevocationLists {
  const { urls, read, staleAtMostMs, clock, log } = options
  const { authorities, issuerOf } = issuerAmong(options.authorities)
  const lists = new Map<string, List>()
  const keptAtMs = new Map<string, number>()
  const refreshOne = async (url: string) => {
    try {
      const der = await read(url)
      if (der === undefined) return
      const list = await parseList(der, authorities)
      const known = lists.get(url)
      // An old list, played back, would make good again who was revoked since.
      if (known !== undefined && known.thisUpdate > list.thisUpdate) return
      lists.set(url, list)
      const isNew = known === undefined || known.thisUpdate < list.thisUpdate
      if (isNew || clock.now().getTime() - (keptAtMs.get(url) ?? 0) > keptAgainAfterMs) {
        keptAtMs.set(url, clock.now().getTime())
        await options.keep?.(url, der)
      }
    } catch (err) {
      log.warn({ err, url }, 'a revocation list could not be read')
    }
  }
  const refresh = async () => void (await Promise.all(urls.map(refreshOne)))
  const timer = urls.length > 0 ? setInterval(() => void refresh(), refreshEveryMs) : undefined
  timer?.unref()
  return {
    refresh,
    complete: () => lists.size === urls.length,
    close: () => clearInterval(timer),
    status(certificate) {
      if (urls.length === 0) return 'good'
      const issuer = issuerOf(certificate)
      const list = issuer && [...lists.values()].find((candidate) => candidate.issuer === issuer)
      return list === undefined ? 'unknown' : statusIn(list, certificate, clock.now(), staleAtMostMs)
    },
  }
}

function statusIn({ serials, nextUpdate }: List, certificate: X509Certificate, now: Date, staleAtMostMs: number): RevocationStatus {
  if (serials.has(serialOf(certificate))) return 'revoked'
  const overdueMs = now.getTime() - nextUpdate.getTime()
  return overdueMs <= 0 ? 'good' : overdueMs <= staleAtMostMs ? 'stale' : 'unknown'
}

const serialOf = onceForEach(({ serialNumber }: X509Certificate): bigint => BigInt(`0x${serialNumber}`))

async function parseList(der: Uint8Array, authorities: readonly X509Certificate[]): Promise<List> {
  const crl = new X509Crl(Uint8Array.from(der))
  if (crl.extensions.some(({ type }) => partial.includes(type))) throw new Error('the list is not a whole one')
  if (crl.nextUpdate === undefined) throw new Error('the list does not say when the next one comes')
  for (const issuer of authorities) {
    const decoded = new DecodedCertificate(issuer.raw)
    if (decoded.subject === crl.issuer && (await crl.verify({ publicKey: decoded })))
      return {
        issuer,
        serials: new Set(crl.entries.map(({ serialNumber }) => BigInt(`0x${serialNumber}`))),
        thisUpdate: crl.thisUpdate,
        nextUpdate: crl.nextUpdate,
      }
  }
  throw new Error('the list is signed by none of the authorities')
}
