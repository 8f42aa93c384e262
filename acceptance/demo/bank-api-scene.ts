import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Screen } from '../customer/screen.ts'
import type { StartedAuthorization, ThirdParty, Tokens } from '../third-party/third-party.ts'
import { newKey } from '../third-party/uk-open-banking.ts'
import { firstNameOf, isSterling, type Stage } from './stage.ts'
import type { Scene } from './story.ts'
import { challengeOf } from './taking-back-scene.ts'

const scope = 'openid profile accounts:read transactions:read payments:write beneficiaries:read beneficiaries:write'
const completesWithinMs = 20_000
const amountCents = 1234
const amountText = '12.34'

type Transfer = {
  readonly source_account_id: string
  readonly destination_account_id: string
  readonly amount_cents: number
  readonly currency: string
  readonly description: string
}

/** The bank's own app: a FAPI client like the others, with an API of its own and step-up for money. */
export async function bankApiScene(stage: Stage, scene: Scene): Promise<void> {
  const app = await stage.thirdParty('bank-app')
  const person = stage.cast.bankCustomer
  const source = person.accounts.find(isSterling)
  const destination = stage.cast.payee.accounts.find(isSterling)
  if (source === undefined || destination === undefined) throw new Error('two sterling accounts are needed')
  const api = (path: string) => `${app.sandbox.audiences.bank_api}${path}`
  const tokens = await signIn(stage, scene, app)
  await scene.step('It reads profile, accounts, one account and its transactions', async ({ holds }) => {
    const get = (path: string) => app.call(tokens.access_token, 'GET', api(path))
    const profile = await get('/users/me')
    holds(
      'the profile is of the customer who signed in',
      profile.status === 200 && profile.text.toLowerCase().includes(person.username),
      `${profile.status} ${profile.text}`,
    )
    const accounts = await get('/accounts')
    holds(
      'all accounts are there, without asking which',
      person.accounts.every(({ id }) => accounts.text.includes(id)),
      `${accounts.status} ${accounts.text}`,
    )
    const account = await get(`/accounts/${source.id}`)
    holds('one account has its balance', account.status === 200 && account.text.includes('cents'), `${account.status} ${account.text}`)
    const transactions = await get(`/accounts/${source.id}/transactions?page=1&limit=5`)
    holds('five transactions a page', transactions.status === 200, `${transactions.status} ${transactions.text}`)
    const foreign = await get(`/accounts/${destination.id}`)
    holds('the account of somebody else does not exist: 404', foreign.status === 404, `${foreign.status} ${foreign.text}`)
  })
  const transfer = {
    source_account_id: source.id,
    destination_account_id: destination.id,
    amount_cents: amountCents,
    currency: 'GBP',
    description: 'Rent share',
  }
  const post = (token: string, path: string, body: object, key: string = newKey()) =>
    app.call(token, 'POST', api(path), { body, headers: { 'idempotency-key': key } })
  await scene.step('It asks to transfer money', async ({ holds, note }) => {
    const asked = await post(tokens.access_token, '/transactions/transfer', transfer)
    const challenge = asked.headers.get('www-authenticate') ?? ''
    holds(
      '401 insufficient_user_authentication: step up first',
      asked.status === 401 && challengeOf(asked.headers) === 'insufficient_user_authentication',
      `${asked.status} ${challenge} ${asked.text}`,
    )
    note(/acr_values="[^"]*"/.exec(challenge)?.[0] ?? challenge)
  })
  const payeeName = firstNameOf(stage.cast.payee)
  const steppedUp = await stepUp(stage, scene, app, transfer, payeeName)
  const transactionId = await scene.step('It asks again with the new token', async ({ holds, note }) => {
    const different = await post(steppedUp.access_token, '/transactions/transfer', { ...transfer, amount_cents: amountCents + 1 })
    holds(
      `a penny more is refused: ${different.status} ${challengeOf(different.headers)}`,
      [401, 403].includes(different.status),
      `${different.status} ${different.text}`,
    )
    const accepted = await post(steppedUp.access_token, '/transactions/transfer', transfer)
    holds(
      '202 PENDING',
      accepted.status === 202 && accepted.at('status') === 'PENDING' && accepted.at('amount_cents') === amountCents,
      `${accepted.status} ${accepted.text}`,
    )
    note(`reference ${accepted.textAt('transaction_ref')}`)
    const twice = await post(steppedUp.access_token, '/transactions/transfer', transfer)
    holds(
      `a second transfer with the same token is refused: ${twice.status}`,
      [401, 403].includes(twice.status),
      `${twice.status} ${twice.text}`,
    )
    return accepted.textAt('transaction_id')
  })
  await scene.step('It asks for the transaction until it is done', async ({ holds }) => {
    const seen = new Set<string>()
    for (const deadline = performance.now() + completesWithinMs; performance.now() < deadline; await sleep(200)) {
      const transaction = await app.call(tokens.access_token, 'GET', api(`/transactions/${transactionId}`))
      seen.add(transaction.textAt('status'))
      if (seen.has('COMPLETED') || seen.has('FAILED')) break
    }
    holds([...seen].join(' → '), seen.has('COMPLETED'))
  })
  await scene.step('It adds a beneficiary and lists them', async ({ holds }) => {
    const accountNumber = String(randomInt(10_000_000, 100_000_000))
    const beneficiary = { name: 'Harbour Lettings', sort_code: '204455', account_number: accountNumber, reference: 'Rent' }
    const added = await post(tokens.access_token, '/beneficiaries', beneficiary)
    holds('201', added.status === 201, `${added.status} ${added.text}`)
    const listed = await app.call(tokens.access_token, 'GET', api('/beneficiaries'))
    holds('it is in the list', listed.status === 200 && listed.text.includes(accountNumber), `${listed.status} ${listed.text}`)
  })
}

async function signIn(stage: Stage, scene: Scene, app: ThirdParty): Promise<Tokens> {
  const person = stage.cast.bankCustomer
  return await scene.step(
    `${firstNameOf(person)} signs in to the bank’s app: the same FAPI profile, no sharing page`,
    async ({ holds }) => {
      const started = await app.start({ scope })
      const { screens, callback } = await stage.atTheBrowser(person, (customer) => customer.authorise(started.url))
      const shown = screens.map(({ kind }) => kind).join(' → ')
      holds('two pages: sign in, code', shown === 'sign_in → second_factor', `${shown}: ${screens.at(-1)?.text.slice(0, 300)}`)
      if (callback === undefined) throw new Error('the customer did not come back')
      const tokens = await app.redeem(started, callback)
      holds('the token is bound to the app’s key', tokens.token_type.toLowerCase() === 'dpop')
      return tokens
    },
  )
}

async function stepUp(stage: Stage, scene: Scene, app: ThirdParty, transfer: Transfer, payeeName: string): Promise<Tokens> {
  const person = stage.cast.bankCustomer
  const details = [
    {
      type: 'payment_initiation',
      instructedAmount: { amount: amountText, currency: transfer.currency },
      debtorAccount: { account_id: transfer.source_account_id },
      creditorAccount: { account_id: transfer.destination_account_id },
      creditorName: payeeName,
      remittanceInformation: transfer.description,
    },
  ]
  return await scene.step(`${firstNameOf(person)} steps up: a new authorization that shows payee and amount`, async ({ holds, note }) => {
    const parameters = { authorization_details: JSON.stringify(details), acr_values: 'urn:openbanking:psd2:sca' }
    const started: StartedAuthorization = await app.start({ scope, parameters })
    const { screens, callback } = await stage.atTheBrowser(person, (customer) => customer.authorise(started.url))
    const naming = screens.filter(({ text }: Screen) => text.includes(`£${amountText}`) && text.includes(payeeName))
    holds('the pages show payee and amount', naming.length >= 1, screens.map(({ text }) => text.slice(0, 200)).join(' | '))
    note(screens.map(({ heading }) => `“${heading}”`).join(' → '))
    if (callback === undefined) throw new Error(`the customer did not come back: ${screens.at(-1)?.text.slice(0, 300)}`)
    const tokens = await app.redeem(started, callback)
    holds(
      'the new token says that strong authentication took place',
      String(tokens.claims()?.['acr']) === 'urn:openbanking:psd2:sca',
      String(tokens.claims()?.['acr']),
    )
    return tokens
  })
}
