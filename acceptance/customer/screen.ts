/** A page as the customer meets it, whichever way it was fetched. */
export type Screen = {
  readonly kind: ScreenKind
  readonly url: string
  readonly status: number
  readonly heading: string
  /** What can be read on the page. */
  readonly text: string
}
export type ScreenKind = 'sign_in' | 'second_factor' | 'choose_accounts' | 'confirm_payment' | 'message'

/** What the customer wants. Whatever is not said is agreed to. */
export type Wishes = {
  /** Which of the offered accounts to tick or to pay from. Without it: all that can be ticked, or the first to pay from. */
  readonly choose?: (offered: readonly OfferedAccount[]) => readonly string[]
  /** The screen on which to press “Cancel” instead. */
  readonly cancelAt?: ScreenKind
  /** Called with every screen before it is answered. */
  readonly onScreen?: (screen: Screen) => void | Promise<void>
}
export type OfferedAccount = { readonly id: string; readonly checked: boolean; readonly disabled: boolean }

export type Journey = { readonly screens: readonly Screen[]; readonly callback: URL | undefined }

/** No journey is longer: more screens than this is a loop. */
export const screensPerJourney = 8

/** The screen is known by what it asks for, not by its words. */
export function kindOf(fields: readonly { name: string; type: string }[], buttons: readonly { value: string }[]): ScreenKind {
  const asks = (name: string, type?: string) => fields.some((field) => field.name === name && (type === undefined || field.type === type))
  if (asks('username')) return 'sign_in'
  if (asks('code')) return 'second_factor'
  if (asks('account', 'checkbox')) return 'choose_accounts'
  if (asks('account', 'radio') || buttons.some(({ value }) => value === 'confirm')) return 'confirm_payment'
  return 'message'
}

export function chosenAmong(kind: ScreenKind, offered: readonly OfferedAccount[], { choose }: Wishes): readonly string[] {
  if (offered.length === 0) return []
  const usable = offered.filter(({ disabled }) => !disabled)
  if (choose) return choose(usable)
  const ids = usable.map(({ id }) => id)
  return kind === 'choose_accounts' ? ids : ids.slice(0, 1)
}
