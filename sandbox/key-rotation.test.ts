import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { type ActiveKeys, type KeyMaterial, keysAt } from '@bankside/auth-server/keys/key-material'
import { keysFromSettings } from '@bankside/auth-server/keys/key-source'
import { logSigner, logVerifiers, parseAuditKeys } from '@bankside/bank/audit/audit-keys'
import { type Checkpoint, openCheckpoint, signCheckpoint } from '@bankside/bank/audit/checkpoint'
import { createSigningKeys, signingAlgorithms } from '@bankside/certs/signing-keys'
import { createLog } from '@bankside/service-kit/log'
import { notificationKeys } from '@bankside/worker/notification-keys'
import { type KeyFiles, rotateKeys } from './key-rotation.ts'
import { ensureAuditKeys, ensureNotificationKey, ensureSecrets, newSecret } from './secrets.ts'

const aheadSeconds = 3_600
const keptSeconds = 86_400
const count = signingAlgorithms.length
const noon = new Date('2027-03-01T12:00:00Z')
const at = (seconds: number) => new Date(noon.getTime() + seconds * 1000)
const times = { aheadSeconds, keptSeconds }

let folder: string
let files: { readonly [Name in keyof Required<KeyFiles>]: string }
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bankside rotation '))
  files = {
    signingKeys: join(folder, 'signing-keys.json'),
    secrets: join(folder, 'secrets.json'),
    notificationKeys: join(folder, 'notification-keys'),
    auditKeys: join(folder, 'audit-keys.json'),
    auditPublicKeys: join(folder, 'audit-public-keys.json'),
  }
  writeFileSync(files.signingKeys, JSON.stringify(await createSigningKeys()))
  ensureSecrets(files.secrets)
  ensureNotificationKey(files.notificationKeys)
  await ensureAuditKeys(files.auditKeys, 'audit.test/log')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const environment = () => ({
  SIGNING_KEYS_FILE: files.signingKeys,
  SECRETS_FILE: files.secrets,
  NOTIFICATION_KEYS_FILE: files.notificationKeys,
})
const read = (): Promise<KeyMaterial> => keysFromSettings(environment()).read()
const activeAt = async (seconds: number): Promise<ActiveKeys> => keysAt(await read(), at(seconds).getTime() / 1000)
const signer = ({ SIGNING_KEYS }: ActiveKeys, alg: string) => SIGNING_KEYS.keys.find((key) => key.alg === alg)?.kid
const kids = ({ SIGNING_KEYS }: ActiveKeys) => SIGNING_KEYS.keys.map(({ kid }) => kid)

test('FAPI2-CR-09 the next key is published first, then signs, then the old one ends: for every algorithm and every secret', async () => {
  const before = await activeAt(0)
  const rotated = await rotateKeys(files, { ...times, now: noon })
  assert.deepEqual([rotated?.signFrom, rotated?.retiredAt], [at(aheadSeconds), at(aheadSeconds + keptSeconds)])
  const [published, signing, over] = await Promise.all([1, aheadSeconds + 1, aheadSeconds + keptSeconds + 1].map(activeAt))
  assert.ok(published && signing && over)
  for (const alg of signingAlgorithms) {
    assert.equal(signer(published, alg), signer(before, alg))
    assert.notEqual(signer(signing, alg), signer(before, alg))
    assert.equal(signer(over, alg), signer(signing, alg))
  }
  assert.deepEqual(
    [published, signing, over].map((active) => kids(active).length),
    [2 * count, 2 * count, count],
  )
  assert.deepEqual(kids(over).toSorted(), rotated?.kids.toSorted())
  for (const name of ['cookie_keys', 'form_keys'] as const) {
    const old = before.SECRETS[name][0]
    const next: string | undefined = over.SECRETS[name][0]
    assert.deepEqual(
      [published, signing, over].map(({ SECRETS }) => SECRETS[name]),
      [[old, next], [next, old], [next]],
    )
  }
  assert.equal(over.SECRETS.seal_keys.length, 2, 'what lasts is sealed anew meanwhile')
  assert.equal((await activeAt(aheadSeconds + 30 * 86_400 + 1)).SECRETS.seal_keys.length, 1)
  assert.deepEqual(published.SECRETS.dpop_nonce_secret, before.SECRETS.dpop_nonce_secret)
  assert.notDeepEqual(signing.SECRETS.dpop_nonce_secret, before.SECRETS.dpop_nonce_secret)
})

test('the key of the audit log rotates, and what any of them ever signed is checked for ever, by public parts alone', async () => {
  const rounds = [0, 100_000, 300_000]
  const signed: Checkpoint[] = []
  for (const seconds of rounds) {
    await rotateKeys(files, { ...times, now: at(seconds) })
    for (const later of [1, aheadSeconds + 1]) {
      const signer = logSigner(parseAuditKeys(readFileSync(files.auditKeys, 'utf8')), at(seconds + later))
      signed.push(await signCheckpoint(signer, { log: 1, size: 1, root: Buffer.alloc(32) }, at(seconds + later)))
    }
  }
  const { keys } = parseAuditKeys(readFileSync(files.auditKeys, 'utf8'))
  const signatures = signed.map(({ note }) => note.split(' ').at(-1)?.slice(0, 5))
  assert.deepEqual([new Set(signatures).size, signatures[1] === signatures[2], signatures[3] === signatures[4]], [4, true, true])
  assert.deepEqual(
    keys.map(({ d }) => d !== undefined),
    [true, true, false, false],
    'of those that have ended the private part is gone',
  )
  const published = parseAuditKeys(readFileSync(files.auditPublicKeys, 'utf8'))
  assert.ok(published.keys.every(({ d }) => d === undefined))
  for (const { note } of signed) assert.ok(openCheckpoint(note, logVerifiers(published)))
})

test('OIDC-08 what third parties know customers by never changes', async () => {
  const { pairwise_salt } = (await activeAt(0)).SECRETS
  for (let round = 0; round < 3; round++) await rotateKeys(files, { ...times, now: at(round * 100_000) })
  assert.equal((await activeAt(400_000)).SECRETS.pairwise_salt, pairwise_salt)
})

test('FAPI2-CR-09 SCA-08 the key of customers’ data rotates too: the next one is there before it seals, and the old one opens for as long as it is there', async () => {
  const day = 86_400
  const [first] = (await activeAt(0)).SECRETS.customer_data_keys
  await rotateKeys(files, { ...times, now: noon })
  const [published, sealing, later] = await Promise.all([1, aheadSeconds + 1, aheadSeconds + 91 * day].map(activeAt))
  const [next] = sealing?.SECRETS.customer_data_keys ?? assert.fail()
  assert.notDeepEqual(next, first)
  assert.deepEqual(published?.SECRETS.customer_data_keys, [first, next])
  assert.deepEqual(sealing?.SECRETS.customer_data_keys, [next, first])
  assert.deepEqual(later?.SECRETS.customer_data_keys, [next, first], 'nothing is lost because nobody was there to seal it anew')
  assert.deepEqual(ensureSecrets(files.secrets, at(aheadSeconds + 1)), [next, first])
  await rotateKeys(files, { ...times, now: at(60 * day) })
  assert.equal((await read()).SECRETS.customer_data_keys.length, 3, 'not before 90 days')
  await rotateKeys(files, { ...times, now: at(91 * day) })
  assert.ok(!(await activeAt(91 * day)).SECRETS.customer_data_keys.some((key) => key.equals(first)))
})

test('FAPI2-CR-09 the keys that authorization server and worker share rotate, and both find them by themselves; bare ones are taken up', async () => {
  const [bare, other] = [newSecret(), newSecret()]
  writeFileSync(files.notificationKeys, `${bare},${other}`)
  const state = { now: noon }
  const log = createLog({ level: 'silent', name: 'test' })
  const ofWorker = notificationKeys({ clock: { now: () => state.now }, log, environment: environment() })
  const ofServer = async (seconds: number) => (await activeAt(seconds)).NOTIFICATION_KEYS.map((key) => key.toString('base64url'))
  const workerAt = (seconds: number) => {
    state.now = at(seconds)
    return ofWorker().map((key) => key.toString('base64url'))
  }
  assert.deepEqual(
    [await ofServer(0), workerAt(0)],
    [
      [bare, other],
      [bare, other],
    ],
  )
  await rotateKeys(files, { ...times, now: noon })
  assert.deepEqual(workerAt(4), [bare, other], 'not looked at yet')
  const next = (await ofServer(6))[2] ?? ''
  for (const [seconds, expected] of [
    [10, [bare, other, next]],
    [aheadSeconds + 1, [next, bare, other]],
    [aheadSeconds + keptSeconds + 1, [next]],
  ] as const)
    assert.deepEqual([await ofServer(seconds), workerAt(seconds)], [expected, expected], `${seconds}`)
  writeFileSync(files.notificationKeys, '[{')
  assert.deepEqual(workerAt(aheadSeconds + keptSeconds + 60), [next], 'half a file changes nothing')
})

test('a second command, while a successor waits or beside the first, changes nothing', async () => {
  const [one, other] = await Promise.all([rotateKeys(files, { ...times, now: noon }), rotateKeys(files, { ...times, now: noon })])
  assert.equal([one, other].filter((rotated) => rotated !== undefined).length, 1)
  const written = readFileSync(files.signingKeys, 'utf8')
  assert.equal(await rotateKeys(files, { ...times, now: at(aheadSeconds - 1) }), undefined)
  assert.equal(readFileSync(files.signingKeys, 'utf8'), written)
  assert.deepEqual(readdirSync(folder).toSorted(), [
    'audit-keys.json',
    'audit-public-keys.json',
    'notification-keys',
    'secrets.json',
    'signing-keys.json',
  ])
})

test('on a schedule, what is new enough stays: by its time, and before there is one by that of its file', async () => {
  const day = 86_400
  utimesSync(files.signingKeys, noon, noon)
  assert.equal(await rotateKeys(files, { ...times, now: at(30 * day - 1), olderThanSeconds: 30 * day }), undefined)
  const rotated = await rotateKeys(files, { ...times, now: at(30 * day), olderThanSeconds: 30 * day })
  assert.ok(rotated)
  assert.equal(await rotateKeys(files, { ...times, now: at(60 * day), olderThanSeconds: 30 * day }), undefined)
  assert.ok(await rotateKeys(files, { ...times, now: at(60 * day + aheadSeconds), olderThanSeconds: 30 * day }))
})

test('what has ended leaves the files, which only their owner reads', async () => {
  await rotateKeys(files, { ...times, now: noon })
  const later = aheadSeconds + keptSeconds + 1
  await rotateKeys(files, { ...times, now: at(later) })
  const { SIGNING_KEYS, SECRETS } = await read()
  assert.equal(SIGNING_KEYS.keys.length, 2 * count)
  assert.equal(SECRETS.cookie_keys.length, 2)
  for (const path of Object.values(files)) assert.equal(statSync(path).mode & 0o777, 0o600)
})

test('a run that died after the secrets were written is made good by the next', async () => {
  const untouched = readFileSync(files.signingKeys, 'utf8')
  await rotateKeys(files, { ...times, now: noon })
  writeFileSync(files.signingKeys, untouched)
  assert.ok(await rotateKeys(files, { ...times, now: at(60) }))
  assert.equal((await read()).SECRETS.cookie_keys.length, 2)
  assert.equal(kids(await activeAt(60)).length, 2 * count)
})

test('secrets of an earlier version are kept under their new names', async () => {
  const customer_data_key = newSecret()
  const before = { cookie_keys: ['a'.repeat(40)], form_key: 'f'.repeat(40), pairwise_salt: 'p'.repeat(40), customer_data_key }
  writeFileSync(files.secrets, JSON.stringify(before))
  assert.deepEqual(ensureSecrets(files.secrets), [Buffer.from(customer_data_key, 'base64url')])
  const { SECRETS } = await activeAt(0)
  assert.equal(SECRETS.customer_data_keys[0].toString('base64url'), customer_data_key)
  assert.deepEqual([SECRETS.cookie_keys, SECRETS.form_keys, SECRETS.pairwise_salt], [['a'.repeat(40)], ['f'.repeat(40)], 'p'.repeat(40)])
})
