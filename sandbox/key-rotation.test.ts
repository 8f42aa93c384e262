import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { type ActiveKeys, type KeyMaterial, keysAt } from '@bankside/auth-server/keys/key-material'
import { keysFromSettings } from '@bankside/auth-server/keys/key-source'
import { createSigningKeys, signingAlgorithms } from '@bankside/certs/signing-keys'
import { type KeyFiles, rotateKeys } from './key-rotation.ts'
import { ensureSecrets } from './secrets.ts'

const aheadSeconds = 3_600
const keptSeconds = 86_400
const count = signingAlgorithms.length
const noon = new Date('2027-03-01T12:00:00Z')
const at = (seconds: number) => new Date(noon.getTime() + seconds * 1000)
const times = { aheadSeconds, keptSeconds }

let folder: string
let files: KeyFiles
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bankside rotation '))
  files = { signingKeys: join(folder, 'signing-keys.json'), secrets: join(folder, 'secrets.json') }
  writeFileSync(files.signingKeys, JSON.stringify(await createSigningKeys()))
  ensureSecrets(files.secrets)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const read = (): Promise<KeyMaterial> => keysFromSettings({ SIGNING_KEYS_FILE: files.signingKeys, SECRETS_FILE: files.secrets }).read()
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

test('OIDC-08 what third parties know customers by, and what customers’ data are sealed with, never changes', async () => {
  const { pairwise_salt, customer_data_key } = (await activeAt(0)).SECRETS
  for (let round = 0; round < 3; round++) await rotateKeys(files, { ...times, now: at(round * 100_000) })
  const { SECRETS } = await activeAt(400_000)
  assert.deepEqual([SECRETS.pairwise_salt, SECRETS.customer_data_key], [pairwise_salt, customer_data_key])
})

test('a second command, while a successor waits or beside the first, changes nothing', async () => {
  const [one, other] = await Promise.all([rotateKeys(files, { ...times, now: noon }), rotateKeys(files, { ...times, now: noon })])
  assert.equal([one, other].filter((rotated) => rotated !== undefined).length, 1)
  const written = readFileSync(files.signingKeys, 'utf8')
  assert.equal(await rotateKeys(files, { ...times, now: at(aheadSeconds - 1) }), undefined)
  assert.equal(readFileSync(files.signingKeys, 'utf8'), written)
  assert.deepEqual(readdirSync(folder).toSorted(), ['secrets.json', 'signing-keys.json'])
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
  writeFileSync(files.secrets, JSON.stringify({ cookie_keys: ['a'.repeat(40)], form_key: 'f'.repeat(40), pairwise_salt: 'p'.repeat(40) }))
  ensureSecrets(files.secrets)
  const { SECRETS } = await activeAt(0)
  assert.deepEqual([SECRETS.cookie_keys, SECRETS.form_keys, SECRETS.pairwise_salt], [['a'.repeat(40)], ['f'.repeat(40)], 'p'.repeat(40)])
})
