import { guard, startFrame } from "./app/frame";
import { forgetEverything, session } from "./app/session";
import { start } from "./screens/start";
import { preferred, speak } from "./texts/texts";

speak(preferred(navigator.languages));
startFrame();
// Only what somebody has written themselves is worth a question before it is lost.
guard(() => session.interview.get("narrative")?.kind === "one" || session.interview.draft("narrative")?.kind === "one");
addEventListener("hashchange", () => {
  forgetEverything();
  void start();
});
void start();
