import { findRemoteDocument, keepRemoteDocument, ocspDocument, type RemoteDocument } from '@bankside/bank/clients/remote-document'
import type { Clock } from '@bankside/service-kit/clock'
import { createGuardedFetch, type GuardedFetch } from '@bankside/service-kit/guarded-fetch'
import type { Log } from '@bankside/service-kit/log'
import { type Database, outsideTransaction } from '@bankside/service-kit/postgres'
import { openRevocation, type Revocation } from '@bankside/service-kit/revocation'
import { type KeySets, openKeySets } from '../client-keys/key-sets.ts'
import type { Config } from '../config.ts'

/** What others publish and this server goes by. It outlives the keys that the server is made anew with. */
export type Published = {
  readonly fetch: GuardedFetch
  readonly keySets: KeySets
  readonly revocations: Revocation
}

export type PublishedDependencies = { readonly config: Config; readonly database: Database; readonly clock: Clock; readonly log: Log }

const listAtMostBytes = 8 * 1024 * 1024
const listTakesAtMostMs = 10_000
const hourMs = 3_600_000

export function openPublished({ config, database, clock, log }: PublishedDependencies): Published {
  const guarded = { ca: config.OUTBOUND_CA, privateHosts: config.OUTBOUND_PRIVATE_HOSTS }
  const fetch = createGuardedFetch(guarded)
  // An authority publishes its lists and answers without TLS, often: they are signed.
  const fetchAnswer = createGuardedFetch({ ...guarded, allowHttp: true })
  const fetchList = createGuardedFetch({ ...guarded, maxBytes: listAtMostBytes, timeoutMs: listTakesAtMostMs, allowHttp: true })
  const lists = {
    urls: config.CLIENT_CRL_URLS,
    authorities: config.CLIENT_CA,
    staleAtMostMs: config.CLIENT_CRL_STALE_HOURS * hourMs,
    clock,
    log,
    read: (url: string) => downloadList(fetchList, database, url),
    keep: (url: string, der: Uint8Array) => keep(database, url, { body: Buffer.from(der), fetchedAt: clock.now() }),
  }
  const ocsp = {
    ask: (url: string, request: Buffer) => askResponder(fetchAnswer, url, request),
    recall: async (fingerprint: string) =>
      (await outsideTransaction(database, (tx) => findRemoteDocument(tx, ocspDocument(fingerprint))))?.body,
    keep: (fingerprint: string, der: Uint8Array) => lists.keep(ocspDocument(fingerprint), der),
  }
  const revocations = openRevocation({ lists, ...(config.CLIENT_OCSP === 'on' && { ocsp }) })
  return { fetch, keySets: openKeySets({ fetch, database, clock, log }), revocations }
}

/** For the resource API, and for a start while the authority is down. */
const keep = (database: Database, url: string, document: RemoteDocument): Promise<void> =>
  outsideTransaction(database, (tx) => keepRemoteDocument(tx, url, document))

async function askResponder(fetch: GuardedFetch, url: string, body: Buffer): Promise<Uint8Array> {
  const headers = { 'content-type': 'application/ocsp-request', accept: 'application/ocsp-response' }
  const response = await fetch(url, { method: 'POST', headers, body })
  if (response.status !== 200) throw new Error(`the responder answered ${response.status}`)
  return Buffer.from(await response.arrayBuffer())
}

async function downloadList(fetch: GuardedFetch, database: Database, url: string): Promise<Uint8Array | undefined> {
  try {
    const response = await fetch(url)
    if (response.status !== 200) throw new Error(`a revocation list was answered with ${response.status}`)
    return Buffer.from(await response.arrayBuffer())
  } catch (error) {
    const kept = await outsideTransaction(database, (tx) => findRemoteDocument(tx, url))
    if (kept === undefined) throw error
    return kept.body
  }
}
