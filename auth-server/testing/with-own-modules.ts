/** Tests run the library as the process does: run-tests.ts imports this before every file. */
import { useOwnModules } from '../library/use-own-modules.ts'

useOwnModules()
