import { findRemoteDocument, keepRemoteDocument } from '@bankside/bank/clients/remote-document'
import type { Clock } from '@bankside/service-kit/clock'
import type { GuardedFetch } from '@bankside/service-kit/guarded-fetch'
import type { Log } from '@bankside/service-kit/log'
import { type Database, outsideTransaction } from '@bankside/service-kit/postgres'
import type { JWK } from 'jose'
import { usableKeys } from './usable-keys.ts'

/** The keys that third parties publish at addresses of theirs, as they were last got. */
export type KeySets = {
  /** Rejects only while nothing was ever got, and for what cannot be got now. */
  current(uri: string): Promise<KeySet>
  /** Whether the set may be asked for again by now: unknown key ids must not become a stream of requests. */
  mayAskAgain(uri: string): boolean
  /** Asks again if that may be. Never rejects: the last set stays when there is no new one. */
  askAgain(uri: string): Promise<void>
}

/** A set is another object when its content is another. */
export type KeySet = { readonly keys: readonly JWK[] }

export type KeySetDependencies = {
  readonly fetch: GuardedFetch
  readonly database: Database
  readonly clock: Clock
  readonly log: Log
}

type Entry = { readonly set: KeySet; readonly text: string; readonly fetchedAtMs: number }
type Attempt = { readonly startedAtMs: number; readonly running: Promise<void> }

/** How old a set may grow before it is asked for again, in the background: so long a withdrawn key lives. */
const refreshAfterMs = 5 * 60_000
const askAgainAfterMs = 10_000
/** However long the third party is down, a key that nobody has confirmed for so long is nobody's. */
const keptAtMostMs = 7 * 86_400_000
const rememberedSets = 2_000

/**
 * A set is got over the guarded way out, kept in the database as well, and goes on serving while its address does not answer,
 * through restarts of ours too (CERT-14).
 */
export function openKeySets({ fetch, database, clock, log }: KeySetDependencies): KeySets {
  const entries = new Map<string, Entry>()
  const attempts = new Map<string, Attempt>()
  const nowMs = () => clock.now().getTime()
  const isTooOld = ({ fetchedAtMs }: Entry) => nowMs() - fetchedAtMs > keptAtMostMs

  const remember = (uri: string, entry: Entry) => {
    if (entries.size >= rememberedSets) entries.clear()
    const known = entries.get(uri)
    entries.set(uri, known?.text === entry.text ? { ...entry, set: known.set } : entry)
  }
  const get = async (uri: string) => {
    const text = await download(fetch, uri)
    const fetchedAt = clock.now()
    remember(uri, { set: usableKeys(text), text, fetchedAtMs: fetchedAt.getTime() })
    await outsideTransaction(database, (tx) => keepRemoteDocument(tx, uri, { body: Buffer.from(text), fetchedAt }))
  }
  const attempt = (uri: string): Promise<void> => {
    if (attempts.size >= rememberedSets) attempts.clear()
    const running = get(uri)
    attempts.set(uri, { startedAtMs: nowMs(), running })
    return running
  }
  const mayAskAgain = (uri: string) => nowMs() - (attempts.get(uri)?.startedAtMs ?? Number.NEGATIVE_INFINITY) >= askAgainAfterMs
  const askAgain = async (uri: string) => {
    if (!mayAskAgain(uri)) return
    await attempt(uri).catch((err: unknown) => log.warn({ err, uri }, 'the keys of a third party could not be got'))
  }
  const known = async (uri: string): Promise<Entry | undefined> => {
    const entry = entries.get(uri) ?? (await kept(database, uri))
    if (entry === undefined || isTooOld(entry)) return undefined
    if (!entries.has(uri)) remember(uri, entry)
    return entries.get(uri)
  }
  return {
    mayAskAgain,
    askAgain,
    async current(uri) {
      const entry = await known(uri)
      if (entry !== undefined) {
        if (nowMs() - entry.fetchedAtMs > refreshAfterMs) void askAgain(uri)
        return entry.set
      }
      // Whoever comes while the first request is under way waits for it; whoever comes right after it failed is told so.
      await (mayAskAgain(uri) ? attempt(uri) : attempts.get(uri)?.running)
      const got = entries.get(uri)
      if (got === undefined) throw new Error('the keys could not be got')
      return got.set
    },
  }
}

async function kept(database: Database, uri: string): Promise<Entry | undefined> {
  const document = await outsideTransaction(database, (tx) => findRemoteDocument(tx, uri))
  if (document === undefined) return undefined
  const text = document.body.toString()
  return { set: usableKeys(text), text, fetchedAtMs: document.fetchedAt.getTime() }
}

async function download(fetch: GuardedFetch, uri: string): Promise<string> {
  const response = await fetch(uri, { headers: { accept: 'application/jwk-set+json, application/json' } })
  if (response.status !== 200) throw new Error(`the keys were answered with ${response.status}`)
  const text = await response.text()
  usableKeys(text)
  return text
}
