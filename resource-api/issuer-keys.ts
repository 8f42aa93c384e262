import https from 'node:https'
import { text } from 'node:stream/consumers'
import type { Clock } from '@bankside/service-kit/clock'
import { Unavailable } from '@bankside/service-kit/refusal'
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'

const fetchTimeoutMs = 3_000
const jwksLimitBytes = 64 * 1024
/** A stream of tokens with invented key ids must not become a stream of requests to the authorization server. */
const refetchCooldownMs = 10_000
const firstFetchCooldownMs = 500
/** Upper bound on how long a key that was withdrawn is still trusted. */
const refreshIntervalMs = 5 * 60_000

export type IssuerKeys = {
  /** Finds the key of a token. Fetches the set again for an unknown key id, at most once per cooldown. */
  readonly find: JWTVerifyGetKey
  /** Grows when the set changes: what was verified with an earlier set must be verified again. */
  readonly generation: () => number
  /** @throws {Unavailable} while no set was ever fetched. */
  readonly load: () => Promise<void>
  readonly close: () => void
}

export type IssuerKeysOptions = {
  readonly url: string
  /** PEM of the authority that issued the authorization server's certificate. */
  readonly ca: string
  readonly clock: Clock
  readonly onRefreshFailed: (error: unknown) => void
}

/**
 * The authorization server's public keys, from its JWKS over TLS. Once fetched they keep working while the server is down;
 * `x5u`, `jku` and `jwk` of a token are never looked at (FAPI2-CR-07).
 */
export function openIssuerKeys({ url, ca, clock, onRefreshFailed }: IssuerKeysOptions): IssuerKeys {
  let known: { jwks: string; find: JWTVerifyGetKey } | undefined
  let generation = 0
  let attemptedAt = Number.NEGATIVE_INFINITY
  let running: Promise<void> | undefined

  const fetchKeys = async () => {
    attemptedAt = clock.now().getTime()
    const jwks = publicSigningKeys(await fetchJson(url, ca))
    const serialized = JSON.stringify(jwks)
    if (serialized === known?.jwks) return
    known = { jwks: serialized, find: createLocalJWKSet(jwks) }
    generation++
  }
  const refresh = () => {
    running ??= fetchKeys().finally(() => {
      running = undefined
    })
    return running
  }
  const load = async () => {
    if (known !== undefined) return
    const tooSoon = running === undefined && clock.now().getTime() - attemptedAt < firstFetchCooldownMs
    if (!tooSoon)
      await refresh().catch((cause: unknown) => {
        throw new Unavailable('the keys of the authorization server cannot be fetched', { cause })
      })
    if (known === undefined) throw new Unavailable('the keys of the authorization server are not known yet')
  }
  const find: JWTVerifyGetKey = async (header, token) => {
    await load()
    try {
      return await (known as NonNullable<typeof known>).find(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || clock.now().getTime() - attemptedAt < refetchCooldownMs) throw error
      await refresh().catch(onRefreshFailed)
      return (known as NonNullable<typeof known>).find(header, token)
    }
  }
  const timer = setInterval(() => void refresh().catch(onRefreshFailed), refreshIntervalMs)
  timer.unref()
  return { find, load, generation: () => generation, close: () => clearInterval(timer) }
}

async function fetchJson(url: string, ca: string): Promise<unknown> {
  const request = https.get(url, { ca, agent: false, headers: { accept: 'application/json' }, signal: AbortSignal.timeout(fetchTimeoutMs) })
  const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    request.once('response', resolve)
    request.once('error', reject)
  })
  if (response.statusCode !== 200) {
    response.destroy()
    throw new Error(`the JWKS was answered with ${response.statusCode}`)
  }
  let length = 0
  response.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (length > jwksLimitBytes) response.destroy(new Error('the JWKS is too large'))
  })
  return JSON.parse(await text(response))
}

function publicSigningKeys(document: unknown): JSONWebKeySet {
  const keys = (document as JSONWebKeySet | null)?.keys
  if (!Array.isArray(keys)) throw new Error('the JWKS has no keys')
  return { keys: keys.filter(({ kty, use }) => kty !== 'oct' && (use ?? 'sig') === 'sig') }
}

/**
 * What was found out with the keys as they are, begun anew when they change. Whoever adds to it takes it before asking the keys: what
 * was found with an earlier set is then lost with it.
 */
export function whileKeysLast<Found>({ generation }: Pick<IssuerKeys, 'generation'>, begin: () => Found): () => Found {
  let found = begin()
  let begunWith = generation()
  return () => {
    if (begunWith !== generation()) {
      begunWith = generation()
      found = begin()
    }
    return found
  }
}
