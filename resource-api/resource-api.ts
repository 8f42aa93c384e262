import { proofUse } from '@bankside/bank/access/used-identifiers'
import { findRemoteDocument, ocspDocument } from '@bankside/bank/clients/remote-document'
import { openPaymentSubmitter } from '@bankside/bank/payments/payment-submitter'
import type { Clock } from '@bankside/service-kit/clock'
import { openHistory } from '@bankside/service-kit/history'
import type { Log } from '@bankside/service-kit/log'
import type { Registry } from '@bankside/service-kit/metrics'
import { openDatabase, outsideTransaction, sql } from '@bankside/service-kit/postgres'
import { openPrepared } from '@bankside/service-kit/prepared'
import { openRevocation } from '@bankside/service-kit/revocation'
import { firstLists } from '@bankside/service-kit/revocation-lists'
import { createTlsServer, drain, listen, type ServerCertificate } from '@bankside/service-kit/tls-server'
import { type Audiences, createApp } from './app.ts'
import { publishedKeys } from './audit-keys.ts'
import { holderCertificate } from './holder-certificate.ts'
import { openIssuerKeys } from './issuer-keys.ts'
import { createObserver } from './observe.ts'
import { onlyRoutable, refuseUnroutable } from './refuse-unroutable.ts'
import { type Rates, requestLimits } from './request-limits.ts'

export type ResourceApiOptions = {
  readonly databaseUrl: string
  /** A replica, for what may be a little late. */
  readonly replica?: { readonly url: string; readonly lagAtMostMs?: number } | undefined
  readonly listen: { readonly port: number; readonly address: string }
  readonly certificates: readonly ServerCertificate[]
  /** PEM of the authorities of client certificates. */
  readonly clientCa: string
  readonly trustedProxyAddresses: readonly string[]
  /** Where the authorities publish what they took back. The authorization server asks there; here is what it got last. */
  readonly revocation?: { readonly urls: readonly string[]; readonly ocsp?: boolean; readonly staleAtMostMs: number }
  readonly issuer: { readonly url: string; readonly jwksUri: string; readonly ca: string }
  /** Public origin, as proofs and links name it: never taken from a request. */
  readonly origin: string
  readonly audiences: Audiences
  /** Of the file with the public audit keys, for those who were given proofs. */
  readonly auditKeysFile?: string | undefined
  readonly rates: Rates
  readonly clock: Clock
  readonly log: Log
  readonly registry: Registry
}

export type ResourceApi = {
  readonly port: number
  readonly checks: { readonly database: () => Promise<void>; readonly issuer_keys: () => Promise<void> }
  /** Finishes what runs, then closes what it opened. */
  close(): Promise<void>
}

const maxConnections = 16
const drainLimitMs = 20_000
const maxProofConnections = 8

/** The whole process but for its settings and signals: what main.ts runs and tests start. */
export async function startResourceApi(options: ResourceApiOptions): Promise<ResourceApi> {
  const { clock, log, clientCa, trustedProxyAddresses, issuer, origin } = options
  const database = await openDatabase(options.databaseUrl, { maxConnections })
  const history = openHistory({
    databaseUrl: options.databaseUrl,
    readUrl: options.replica?.url,
    lagAtMostMs: options.replica?.lagAtMostMs,
    registry: options.registry,
  })
  const payments = openPaymentSubmitter(options.databaseUrl, { clock })
  const prepared = openPrepared(options.databaseUrl, { maxConnections: maxProofConnections })
  const onRefreshFailed = (err: unknown) => log.warn({ err }, 'the keys of the authorization server could not be fetched again')
  const keys = openIssuerKeys({ url: issuer.jwksUri, ca: issuer.ca, clock, onRefreshFailed })
  const { urls, ocsp = false, staleAtMostMs } = options.revocation ?? { urls: [], staleAtMostMs: 0 }
  const read = async (url: string) => (await outsideTransaction(database, (tx) => findRemoteDocument(tx, url)))?.body
  const revocations = openRevocation({
    lists: { urls, authorities: clientCa, staleAtMostMs, clock, log, read },
    ...(ocsp && { ocsp: { recall: (fingerprint: string) => read(ocspDocument(fingerprint)) } }),
  })
  await firstLists(revocations)
  const holder = holderCertificate({ trustedProxyAddresses, clientCa, clock, revocations })
  const trust = { issuer: issuer.url, keys, origin, useProofOnce: proofUse(prepared), holderCertificate: holder }
  const limits = requestLimits(options.rates, trustedProxyAddresses)
  const observe = createObserver(log, options.registry)
  const auditKeys = options.auditKeysFile === undefined ? undefined : publishedKeys(options.auditKeysFile, clock)
  await auditKeys?.read()
  const app = createApp({ database, history, payments, trust, clock, observe, limits }, options.audiences, auditKeys)

  const { certificates } = options
  const listener = { certificates, clientCa, requestClientCertificate: true, bodilessRequestsAreEnded: true }
  const server = createTlsServer(listener, onlyRoutable(app))
  refuseUnroutable(server, clock)
  return {
    port: await listen(server, options.listen),
    checks: {
      database: async () => void (await outsideTransaction(database, (tx) => tx.query(sql.unsafe`select 1`))),
      issuer_keys: () => keys.load(),
    },
    close: async () => {
      await drain(server, { limitMs: drainLimitMs })
      keys.close()
      revocations.close()
      await Promise.all([database.end(), history.end(), payments.close(), prepared.end()])
    },
  }
}
