import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { agreePayment, read, shareAccounts } from '../rig/consented.ts'
import { hasSterling, openRig, type Rig, sterlingOf } from '../rig/rig.ts'
import { submitPayment } from '../third-party/uk-open-banking.ts'

let rig: Rig
before(async () => {
  rig = await openRig()
})
after(() => rig?.close())

/** All that was logged, once nothing more comes: lines are written together, some moments after the answer. */
async function logged(): Promise<string> {
  const folder = path.join(rig.sandbox.home, 'logs')
  const read = () =>
    readdirSync(folder)
      .map((file) => readFileSync(path.join(folder, file), 'utf8'))
      .join('')
  for (let before = read(); ; ) {
    await sleep(250)
    const now = read()
    if (now.length === before.length) return now
    before = now
  }
}

test('ATK-02 BCP-13 after a whole journey the logs hold no token, code, password, cookie, account number or name in clear', async () => {
  const person = rig.someone(hasSterling)
  const shared = await shareAccounts(rig, { person })
  const accounts = await read(shared, '/accounts')
  const balance = await read(shared, `/accounts/${sterlingOf(person).id}/balances?fromBookingDateTime=canary-in-a-query`)
  assert.equal(accounts.status, 200)
  const agreed = await agreePayment(rig, { person })
  await submitPayment(agreed.thirdParty, agreed.tokens.access_token, agreed.consentId, agreed.body)
  await shared.thirdParty.refresh(shared.tokens.refresh_token ?? '')
  const { sort_code, account_number, iban } = sterlingOf(person)
  const holder = accounts
    .listAt('Data.Account')
    .map((account) => account.at('Account.0.Name'))
    .find((name) => typeof name === 'string')
  const secrets: Record<string, unknown> = {
    'access token': shared.tokens.access_token,
    'its signature': shared.tokens.access_token.split('.')[2],
    'refresh token': shared.tokens.refresh_token,
    'ID token': shared.tokens.id_token,
    code: shared.callback.searchParams.get('code'),
    state: shared.started.state,
    'code verifier': shared.started.codeVerifier,
    request_uri: shared.started.url.searchParams.get('request_uri')?.split(':').at(-1),
    password: person.password,
    'TOTP secret': person.totp_secret,
    'TOTP code': `"${rig.codes.lastCode(person)}"`,
    username: person.username,
    'account number': account_number,
    'sort code and number': `${sort_code}${account_number}`,
    IBAN: iban,
    "the holder's name": holder,
    'the payee’s name': 'Riverside Rentals',
    'a query': 'canary-in-a-query',
  }
  const text = await logged()
  assert.ok(text.includes('"msg":"request"') && text.includes('interaction'), 'requests are logged, with the interaction id')
  const found = Object.entries(secrets).filter(([, secret]) => typeof secret === 'string' && secret !== '' && text.includes(secret))
  assert.deepEqual(
    found.map(([what]) => what),
    [],
    String(balance.status),
  )
})

test('SCA-11 a request can be found in the logs by the interaction id that its answer carried', async () => {
  const shared = await shareAccounts(rig)
  const id = (await read(shared, '/accounts')).headers.get('x-fapi-interaction-id') ?? 'none'
  assert.ok((await logged()).includes(id))
})
