import { setTimeout as sleep } from 'node:timers/promises'
import type { DemoCustomer } from '../sandbox/description.ts'
import { askElsewhere, openNotificationEndpoint, pollOnce } from '../third-party/backchannel.ts'
import { lodgePayment, paymentBody, submitPayment } from '../third-party/uk-open-banking.ts'
import { firstNameOf, isSterling, type Stage } from './stage.ts'
import type { Scene } from './story.ts'
import { errorOf } from './taking-back-scene.ts'

const calledWithinMs = 20_000
const bindingMessage = 'TILL 4'
const amount = '7.20'

/** A customer pays at a shop's till: the shop asks the bank, and the customer answers on a device of her own (CIBA, ping). */
export async function tillScene(
  stage: Stage,
  scene: Scene,
  { customer, shop }: { customer: DemoCustomer; shop: DemoCustomer },
): Promise<void> {
  const thirdParty = await stage.thirdParty('tpp-ciba-ping')
  const from = customer.accounts.find(isSterling)
  const to = shop.accounts.find(isSterling)
  if (from === undefined || to === undefined) throw new Error('customer and shop need a sterling account each')
  const body = paymentBody({ amount, currency: 'GBP', creditor: { name: firstNameOf(shop), account: to }, remittance: 'Coffee and cake' })
  const till = await openNotificationEndpoint(
    stage.sandbox,
    Number(new URL(thirdParty.client.backchannel_client_notification_endpoint ?? '').port),
  )
  try {
    const asked = await scene.step(
      `The till lodges the payment and asks the bank to ask ${firstNameOf(customer)}`,
      async ({ holds, note }) => {
        const lodged = await lodgePayment(thirdParty, body)
        holds('201, the consent awaits authorisation (AWAU)', lodged.at('Data.Status') === 'AWAU', `${lodged.status} ${lodged.text}`)
        const consentId = lodged.textAt('Data.ConsentId')
        const question = { scope: 'openid payments', consentId, loginHint: customer.username, bindingMessage, notificationToken: 'till-4' }
        const { auth_req_id, expires_in } = await askElsewhere(thirdParty, question)
        note(`“${bindingMessage}” is shown at the till; the question stands for ${expires_in} s`)
        holds(
          'there is no answer yet: authorization_pending',
          (await errorOf(pollOnce(thirdParty, auth_req_id))) === 'authorization_pending',
        )
        return { consentId, auth_req_id }
      },
    )
    await letAnswer(stage, scene, customer, { accountId: from.id, payee: firstNameOf(shop) })
    await scene.step('The bank calls the till, which fetches its token and pays', async ({ holds, note }) => {
      for (const deadline = performance.now() + calledWithinMs; till.received.length === 0 && performance.now() < deadline; )
        await sleep(50)
      const [call] = till.received
      holds('it was called once, with the token that it gave', till.received.length === 1 && call?.authorization === 'Bearer till-4')
      holds(
        'the call says which question was answered, and nothing else',
        call?.body === JSON.stringify({ auth_req_id: asked.auth_req_id }),
      )
      const tokens = await pollOnce(thirdParty, asked.auth_req_id)
      holds('the answer is fetched once: invalid_grant', (await errorOf(pollOnce(thirdParty, asked.auth_req_id))) === 'invalid_grant')
      const paid = await submitPayment(thirdParty, tokens.access_token, asked.consentId, body)
      holds('201, a payment exists', paid.status === 201, `${paid.status} ${paid.text}`)
      note(`${paid.textAt('Data.DomesticPaymentId')} is ${paid.textAt('Data.Status')}`)
    })
  } finally {
    till.close()
  }
}

async function letAnswer(
  stage: Stage,
  scene: Scene,
  person: DemoCustomer,
  { accountId, payee }: { accountId: string; payee: string },
): Promise<void> {
  await scene.step(
    `${firstNameOf(person)} finds the question on “Connected accounts”, compares it with the till, and says yes`,
    async ({ holds, note }) => {
      await stage.atTheBrowser(person, async (customer) => {
        let screen = await customer.open(`${stage.sandbox.issuer}/connected-accounts`)
        while (['sign_in', 'second_factor'].includes(screen.kind)) screen = await customer.answer(screen)
        await customer.press(/waits? for your answer/)
        screen = await customer.press('Kestrel Payments')
        holds('a payment asks for a code of its own', screen.kind === 'second_factor', screen.heading)
        for (const shown of [`£${amount}`, payee, bindingMessage]) holds(`the page says ${shown}`, screen.text.includes(shown), screen.text)
        screen = await customer.answer(await customer.answer(screen), { choose: () => [accountId] })
        note(`“${screen.heading}”`)
      })
    },
  )
}
