import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Screen } from '../customer/screen.ts'
import type { DemoCustomer } from '../sandbox/description.ts'
import type { StartedAuthorization, ThirdParty, Tokens } from '../third-party/third-party.ts'
import { getPayment, lodgePayment, newKey, type PaymentBody, paymentBody, pisp, submitPayment } from '../third-party/uk-open-banking.ts'
import { pushRequest, redeem } from './accounts-scene.ts'
import { balanceOf, minorUnits, type Reader, read } from './reader.ts'
import { firstNameOf, isSterling, type Stage } from './stage.ts'
import type { Scene } from './story.ts'

const settlesWithinMs = 20_000
const settled = ['ACSC', 'ACCC', 'ACWP']

export type Authorised = {
  readonly thirdParty: ThirdParty
  readonly tokens: Tokens
  readonly consentId: string
  readonly body: PaymentBody
}

/** A customer pays another one through a third party; what both accounts show is read through the consents given before. */
export async function paymentScene(stage: Stage, scene: Scene, { payer, payee }: { payer: Reader; payee: Reader }): Promise<void> {
  const from = stage.cast.payer.accounts.find((account) => isSterling(account) && payer.accountIds.includes(account.id))
  const to = stage.cast.payee.accounts.find((account) => isSterling(account) && payee.accountIds.includes(account.id))
  if (from === undefined || to === undefined) throw new Error('payer and payee need a sterling account each among those they share')
  const amount = `${randomInt(10, 40)}.${randomInt(10, 100)}`
  const authorised = await authorisePayment(stage, scene, {
    person: stage.cast.payer,
    body: paymentBody({
      amount,
      currency: 'GBP',
      creditor: { name: firstNameOf(stage.cast.payee), account: to },
      remittance: 'Concert tickets',
    }),
    debtorAccountId: from.id,
    showUsedCode: true,
  })
  const balances = async () => ({ payer: await balanceOf(payer, from.id), payee: await balanceOf(payee, to.id) })
  const before = await balances()
  await confirmFunds(scene, authorised)
  const paymentId = await pay(scene, authorised)
  await waitUntilSettled(scene, authorised.thirdParty, paymentId)
  await scene.step('Both accounts are read again, each through its own consent', async ({ holds }) => {
    const after = await balances()
    const moved = minorUnits(amount)
    holds(`the payer’s balance is £${amount} lower`, before.payer - after.payer === moved, `${before.payer - after.payer} pence`)
    holds(`the payee’s balance is £${amount} higher`, after.payee - before.payee === moved, `${after.payee - before.payee} pence`)
    holds('the payer’s statement shows it', await statementShows(payer, from.id, amount, 'Debit'))
    holds('the payee’s statement shows it', await statementShows(payee, to.id, amount, 'Credit'))
  })
}

export type PaymentAuthorisation = {
  person: DemoCustomer
  body: PaymentBody
  debtorAccountId?: string
  showUsedCode?: boolean
  clientId?: string
}

export async function authorisePayment(stage: Stage, scene: Scene, wish: PaymentAuthorisation): Promise<Authorised> {
  const { person, body } = wish
  const thirdParty = await stage.thirdParty(wish.clientId ?? 'tpp-tls-dpop')
  const consentId = await scene.step(
    `A payment third party lodges the payment that ${firstNameOf(person)} asked it for`,
    async ({ holds, note }) => {
      const lodged = await lodgePayment(thirdParty, body)
      holds(
        '201, the consent awaits authorisation (AWAU)',
        lodged.status === 201 && lodged.at('Data.Status') === 'AWAU',
        `${lodged.status} ${lodged.text}`,
      )
      note(`${lodged.textAt('Data.ConsentId')}: £${amountOf(body)} to ${payeeOf(body)}`)
      return lodged.textAt('Data.ConsentId')
    },
  )
  const started = await pushRequest(scene, thirdParty, { scope: 'openid payments', intent: { consentId, namedBy: 'both' } })
  const callback = await letPay(stage, scene, wish, started)
  const tokens = await scene.step('The third party redeems the code', async (check) => {
    const redeemed = await redeem(thirdParty, started, callback, { consentId, check })
    check.holds('one payment needs no refresh token', redeemed.refresh_token === undefined)
    return redeemed
  })
  return { thirdParty, tokens, consentId, body }
}

async function letPay(
  stage: Stage,
  scene: Scene,
  { person, body, debtorAccountId, showUsedCode }: PaymentAuthorisation,
  started: StartedAuthorization,
): Promise<URL> {
  return await scene.step(`${firstNameOf(person)} signs in, sees payee and amount, and confirms`, async ({ holds, note }) => {
    const usedCode = stage.codes.lastCode(person)
    const screens: Screen[] = []
    const journey = await stage.atTheBrowser(person, async (customer) => {
      let screen = await customer.open(started.url)
      screens.push(screen)
      screen = await customer.answer(screen)
      if (showUsedCode && screen.kind === 'second_factor') {
        await customer.page.locator('input[name=code]').fill(usedCode)
        screen = await customer.press(/continue|confirm|pay/i)
        holds('a code that was used before is refused', screen.kind === 'second_factor', screen.heading)
      }
      screens.push(screen)
      screen = await customer.answer(screen)
      screens.push(screen)
      await customer.answer(screen, debtorAccountId ? { choose: () => [debtorAccountId] } : {})
      return new URL(customer.page.url())
    })
    const shown = screens.map(({ kind }) => kind).join(' → ')
    holds('three pages: sign in, code, confirm', shown === 'sign_in → second_factor → confirm_payment', shown)
    const amount = `£${amountOf(body)}`
    holds('the page that asks for the code names payee and amount', namesBoth(screens[1], amount, payeeOf(body)), screens[1]?.text)
    holds('so does the page that asks to confirm', namesBoth(screens[2], amount, payeeOf(body)), screens[2]?.text)
    note(`“${screens[2]?.heading ?? ''}”: ${amount} to ${payeeOf(body)}`)
    if (!journey.href.startsWith(started.redirectUri)) throw new Error('the customer did not come back to the third party')
    return journey
  })
}

async function confirmFunds(scene: Scene, { thirdParty, tokens, consentId }: Authorised): Promise<void> {
  await scene.step('It asks whether the money is there', async ({ holds }) => {
    const funds = await thirdParty.call(
      tokens.access_token,
      'GET',
      pisp(thirdParty, `/domestic-payment-consents/${consentId}/funds-confirmation`),
    )
    holds(
      '200, funds are available; nothing is reserved',
      funds.at('Data.FundsAvailableResult.FundsAvailable') === true,
      `${funds.status} ${funds.text}`,
    )
  })
}

/** First as it must not be, then as it was agreed, then again: @returns the id of the one payment. */
async function pay(scene: Scene, { thirdParty, tokens, consentId, body }: Authorised): Promise<string> {
  const key = newKey()
  const paymentId = await scene.step('It pays, with an idempotency key', async ({ holds, note }) => {
    const submitted = await submitPayment(thirdParty, tokens.access_token, consentId, body, key)
    holds('201, a payment exists', submitted.status === 201, `${submitted.status} ${submitted.text}`)
    note(`${submitted.textAt('Data.DomesticPaymentId')} is ${submitted.textAt('Data.Status')}`)
    return submitted.textAt('Data.DomesticPaymentId')
  })
  await scene.step(
    'It sends the same again, then something else under the same key, then the same under another key',
    async ({ holds }) => {
      const repeated = await submitPayment(thirdParty, tokens.access_token, consentId, body, key)
      holds(
        'the same key finds the same payment, in its current state',
        repeated.status === 201 && repeated.at('Data.DomesticPaymentId') === paymentId,
        `${repeated.status} ${repeated.text}`,
      )
      const changed = await submitPayment(thirdParty, tokens.access_token, consentId, withAmount(body, '99.99'), key)
      holds(
        'a changed amount under that key is refused: 400 U006',
        changed.status === 400 && changed.at('Errors.0.ErrorCode') === 'U006',
        `${changed.status} ${changed.text}`,
      )
      const second = await submitPayment(thirdParty, tokens.access_token, consentId, body)
      holds(
        'a second payment on the consent is refused: 400 U009',
        second.status === 400 && second.at('Errors.0.ErrorCode') === 'U009',
        `${second.status} ${second.text}`,
      )
    },
  )
  return paymentId
}

async function waitUntilSettled(scene: Scene, thirdParty: ThirdParty, paymentId: string): Promise<void> {
  await scene.step('It asks for the status until the bank has posted it', async ({ holds }) => {
    const seen = new Set<string>()
    for (const deadline = performance.now() + settlesWithinMs; performance.now() < deadline; await sleep(200)) {
      const payment = await getPayment(thirdParty, paymentId)
      seen.add(payment.textAt('Data.Status'))
      if (settled.includes(payment.textAt('Data.Status'))) break
    }
    holds(
      `the money has moved: ${[...seen].join(' → ')}`,
      settled.some((status) => seen.has(status)),
      [...seen].join(' → '),
    )
  })
}

async function statementShows(reader: Reader, accountId: string, amount: string, direction: 'Credit' | 'Debit'): Promise<boolean> {
  const statement = await read(reader, `/accounts/${accountId}/transactions`)
  return statement
    .listAt('Data.Transaction')
    .some((each) => each.at('Amount.Amount') === amount && each.at('CreditDebitIndicator') === direction)
}

export function withAmount(body: PaymentBody, amount: string): PaymentBody {
  return { ...body, Data: { Initiation: { ...body.Data.Initiation, InstructedAmount: { Amount: amount, Currency: 'GBP' } } } }
}

const amountOf = (body: PaymentBody) => String((body.Data.Initiation['InstructedAmount'] as { Amount: string }).Amount)
const payeeOf = (body: PaymentBody) => String((body.Data.Initiation['CreditorAccount'] as { Name: string }).Name)
const namesBoth = (screen: Screen | undefined, ...words: readonly string[]) => words.every((word) => screen?.text.includes(word))
