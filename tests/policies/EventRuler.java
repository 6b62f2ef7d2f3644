// Asks EventBridge's open-source matcher, https://github.com/aws/event-ruler, about each pattern and
// each event. In: a JSON object {"patterns": [...], "events": [...]}; out: its verdicts, a list of
// numbers of events for each pattern. docs/audit.md says how to run it.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import software.amazon.event.ruler.Machine;

public class EventRuler {
    public static void main(String[] args) throws Exception {
        JsonNode table = new ObjectMapper().readTree(System.in);
        StringBuilder out = new StringBuilder("[");
        for (JsonNode pattern : table.get("patterns")) {
            Machine machine = new Machine();
            machine.addRule("rule", pattern.toString());
            StringBuilder matched = new StringBuilder();
            int number = 0;
            for (JsonNode event : table.get("events")) {
                if (!machine.rulesForJSONEvent(event.toString()).isEmpty()) {
                    matched.append(matched.length() > 0 ? "," : "").append(number);
                }
                number++;
            }
            out.append(out.length() > 1 ? "," : "").append('[').append(matched).append(']');
        }
        System.out.println(out.append(']'));
    }
}
