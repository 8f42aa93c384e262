import { existsSync, readFileSync, statSync } from 'node:fs'
import { createSigningKey, isSigningAlgorithm } from '@bankside/certs/signing-keys'
import type { Clock } from '@bankside/service-kit/clock'
import { sealingKeys } from '@bankside/service-kit/config'
import { lock } from '@bankside/service-kit/folder-lock'
import { writePrivateFile } from './private-file.ts'
import { Problem } from './problem.ts'
import { newSecret, rotatingSecrets, writePublicAuditKeys } from './secrets.ts'
import type { placesIn } from './settings.ts'

export type KeyFiles = {
  readonly signingKeys: string
  readonly secrets: string
  /** Shared with the worker, and with nobody else. */
  readonly notificationKeys?: string | undefined
  /** Of whoever seals, alone. */
  readonly auditKeys?: string | undefined
  /** The public parts of these, for whoever publishes them. */
  readonly auditPublicKeys?: string | undefined
}
export type RotationTimes = {
  readonly now: Date
  /** How long a key is published before it signs: longer than anybody keeps an older set. */
  readonly aheadSeconds: number
  /** How long a key is published after it signed for the last time: longer than anything lives that it signed. */
  readonly keptSeconds: number
  /** Leaves alone what was renewed more recently. */
  readonly olderThanSeconds?: number | undefined
}

/** With `nbf` and `exp` as `auth-server/keys` reads them. */
type Timed = { readonly nbf?: number | undefined; readonly exp?: number | undefined }
type Jwk = Timed & { readonly kid?: string; readonly alg?: string; readonly d?: string }
type Secret = Timed & { readonly key: string }

export type Rotated = { readonly signFrom: Date; readonly kids: readonly string[]; readonly retiredAt: Date }

const lockedAtMostMs = 10_000

/**
 * Adds a successor to each signing key and secret, from when on it signs, and an end to those it replaces; what has ended is
 * removed. Running processes find out by themselves, and nobody need come back: the times are in the files. Where a
 * successor waits already, nothing changes: undefined. What must never change is not touched.
 */
export async function rotateKeys(files: KeyFiles, times: RotationTimes): Promise<Rotated | undefined> {
  for (const path of [files.signingKeys, files.secrets, files.notificationKeys, files.auditKeys])
    if (path !== undefined && !existsSync(path))
      throw new Problem(`${path} is not there: a sandbox makes its keys when it is started for the first time.`)
  const using = await lock(`${files.signingKeys}.lock`, { timeoutMs: lockedAtMostMs })
  try {
    const { keys } = readJson(files.signingKeys) as { keys: Jwk[] }
    const schedule = scheduleOf(times)
    const algorithms = [...new Set(keys.map(({ alg }) => alg))]
    const sets = algorithms.map((alg) => keys.filter((key) => key.alg === alg))
    if (!isDue(keys, files.signingKeys, times)) return undefined
    const rotated = await Promise.all(sets.map((set, index) => withSuccessor(set, () => newKey(algorithms[index]), schedule)))
    const secrets = readJson(files.secrets) as Record<string, (string | Secret)[]>
    const rings = rotatingSecrets.map(
      async (name) => [name, await withSuccessor(secretsOf(secrets, name), newTimedSecret, scheduleFor(name, times))] as const,
    )
    // Secrets first: whoever dies in between leaves the signing keys due, and the next run finds the secrets' successors waiting.
    if (files.notificationKeys !== undefined) await rotateNotificationKeys(files.notificationKeys, schedule)
    if (files.auditKeys !== undefined) {
      await rotateAuditKeys(files.auditKeys, schedule)
      if (files.auditPublicKeys !== undefined) writePublicAuditKeys(files.auditKeys, files.auditPublicKeys)
    }
    writePrivateFile(files.secrets, { ...secrets, ...Object.fromEntries(await Promise.all(rings)) })
    writePrivateFile(files.signingKeys, { keys: rotated.flat() })
    const kids = rotated.flat().flatMap(({ kid, nbf }) => (nbf === schedule.signFrom && kid !== undefined ? [kid] : []))
    return { signFrom: dateOf(schedule.signFrom), kids, retiredAt: dateOf(schedule.signFrom + times.keptSeconds) }
  } finally {
    using.release()
  }
}

const scheduled = { olderThanSeconds: 30 * 86_400, aheadSeconds: 3_600, keptSeconds: 86_400 } as const
const lookEveryMs = 3_600_000

export const keyFilesOf = ({
  signingKeys,
  secrets,
  notificationKey,
  auditKeys,
  auditPublicKeys,
}: ReturnType<typeof placesIn>): KeyFiles => {
  return { signingKeys, secrets, notificationKeys: notificationKey, auditKeys, auditPublicKeys }
}

/** For as long as a sandbox runs. @returns what ends it. */
export function rotateOnSchedule(files: KeyFiles, { clock, say }: { clock: Clock; say: (line: string) => void }): () => void {
  const look = () =>
    rotateKeys(files, { ...scheduled, now: clock.now() }).catch((error: Error) => say(`The keys could not be rotated: ${error.message}`))
  const timer = setInterval(() => void look(), lookEveryMs)
  timer.unref()
  return () => clearInterval(timer)
}

/**
 * Grants and second factors last longer than any key: they are sealed anew, by processes that may not be running now. A customer whose
 * second factor nobody opens is locked out, so that key stays longest.
 */
const keptAtLeastSeconds: Readonly<Record<string, number>> = { seal_keys: 30 * 86_400, customer_data_keys: 90 * 86_400 }
const scheduleFor = (name: string, times: RotationTimes): Schedule =>
  scheduleOf({ ...times, keptSeconds: Math.max(times.keptSeconds, keptAtLeastSeconds[name] ?? 0) })

/** Bare keys, as they were once written, are those without times. */
async function rotateNotificationKeys(path: string, schedule: Schedule): Promise<void> {
  const ring = sealingKeys
    .parse(readFileSync(path, 'utf8'))
    .map(({ key, ...times }): Secret => ({ key: key.toString('base64url'), ...times }))
  writePrivateFile(path, await withSuccessor(ring, newTimedSecret, schedule))
}

/** What was signed is checked for ever: of a key that has ended the public part stays. */
async function rotateAuditKeys(path: string, schedule: Schedule): Promise<void> {
  const { origin, keys } = readJson(path) as { readonly origin: string; readonly keys: readonly Jwk[] }
  const hasEnded = ({ exp }: Timed) => exp !== undefined && exp <= schedule.nowSeconds
  const ended = keys.filter(hasEnded).map(({ d: _, ...publicKey }) => publicKey)
  const going = keys.filter((key) => !hasEnded(key))
  writePrivateFile(path, { origin, keys: [...(await withSuccessor(going, () => newKey('EdDSA'), schedule)), ...ended] })
}

type Schedule = { readonly nowSeconds: number; readonly signFrom: number; readonly goneFrom: number }

function scheduleOf({ now, aheadSeconds, keptSeconds }: RotationTimes): Schedule {
  const nowSeconds = Math.floor(now.getTime() / 1000)
  return { nowSeconds, signFrom: nowSeconds + aheadSeconds, goneFrom: nowSeconds + aheadSeconds + keptSeconds }
}

/** A set that was never rotated is as old as its file. */
function isDue(keys: readonly Timed[], path: string, { now, olderThanSeconds = 0 }: RotationTimes): boolean {
  const nowSeconds = now.getTime() / 1000
  const newest = Math.max(...keys.map(({ nbf = statSync(path).mtimeMs / 1000 }) => nbf))
  return !keys.some(({ nbf = 0 }) => nbf > nowSeconds) && nowSeconds - newest >= olderThanSeconds
}

async function withSuccessor<Key extends Timed>(set: readonly Key[], make: () => Key | Promise<Key>, schedule: Schedule): Promise<Key[]> {
  const { nowSeconds, signFrom, goneFrom } = schedule
  const good = set.filter(({ exp }) => exp === undefined || exp > nowSeconds)
  if (good.some(({ nbf = 0 }) => nbf > nowSeconds)) return good
  return [{ ...(await make()), nbf: signFrom }, ...good.map((key) => (key.exp === undefined ? { ...key, exp: goneFrom } : key))]
}

async function newKey(alg: string | undefined): Promise<Jwk> {
  if (!isSigningAlgorithm(alg)) throw new Error(`there is a signing key for ${alg}, which this version does not make`)
  return (await createSigningKey(alg)) as Jwk
}

const secretsOf = (secrets: Readonly<Record<string, readonly (string | Secret)[]>>, name: string): Secret[] =>
  (secrets[name] ?? []).map((secret) => (typeof secret === 'string' ? { key: secret } : secret))

const newTimedSecret = (): Secret => ({ key: newSecret() })

const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'))

const dateOf = (seconds: number) => new Date(seconds * 1000)
