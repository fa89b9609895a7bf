const form=$("form");
let state=null,busy=false,timer=0,ran=false;
const chosen=name=>form.elements[name].value,running=job=>job&&(job.state==="collecting"||job.state==="running");
// Why it cannot be begun as it is chosen, or nothing.
function obstacle(){
 if(!state)return "";
 if(state.problem)return state.problem;
 if(!state.may_teach)return "Only to look at: teaching needs the right to teach.";
 const least=state.least[chosen("what")];
 if(chosen("frames")==="marks"&&state.marked_good<least)return state.marked_good+(state.marked_good===1?" frame is":" frames are")+" marked good: at least "+least+" are needed, 30 are better.";
 const count=+$("count").value,every=+$("every").value;
 if(chosen("frames")==="camera"&&!(Number.isInteger(count)&&count>=least&&count<=state.most))return least+" to "+state.most+" frames can be taken.";
 if(chosen("frames")==="camera"&&!($("every").value!==""&&every>=0&&every<=60))return "0 to 60 seconds between two frames.";
 return "";
}
function choose(){
 $("camera").hidden=chosen("frames")!=="camera";
 const problem=obstacle();
 $("problem").textContent=problem;$("problem").hidden=!problem;
 $("start").disabled=!state||busy||!!problem||!!running(state.job);
 $("start").textContent=running(state?.job)?"A job runs":"Start";
}
const STEPS={aligning:"finding the part",looking:"looking at the frames",learning:"learning",judging:"judging the marked frames"};
const number=(value,digits)=>value==null?"–":(+value).toFixed(digits);
function rows(job){
 const r=job.result;
 if(!r)return [];
 if(job.what==="recalibrate")return [["","old","new"],["false alarms among "+r.frames+" frames",r.false_alarms_before,r.false_alarms_after],["their median severity",number(r.severity_before,2),number(r.severity_after,2)],...(r.taught?[["false alarms among "+r.taught.frames+" taught before",r.taught.false_alarms_before,r.taught.false_alarms_after]]:[])];
 return [["frames used",r.pictures],["painted defects found",r.painted.found+" of "+r.painted.count],["false alarms expected in 1000 frames",number(r.false_alarms,1)],["with 95 % confidence",number(r.false_alarms_interval[0],1)+" to "+number(r.false_alarms_interval[1],1)]];
}
function show(){
 $("counts").textContent=(state.home??"")+(state.marked_good==null?"":" · "+state.marked_good+" frames marked good");
 $("marked").textContent="Those marked as good"+(state.marked_good==null?"":" ("+state.marked_good+")");
 const job=state.job,at=running(job);
 let text="Nothing was taught here yet.",percent=null;
 if(job){
  if(job.state==="collecting"){text=job.taken+" of "+job.count+" frames taken";percent=100*job.taken/job.count}
  else if(job.state==="running"){text=job.step?STEPS[job.step]+", "+job.percent+" %":"begins …";percent=job.step?job.percent:-1}
  else if(job.what==="judge")text={done:"The marked frames were judged: compare them",failed:"Judging the marked frames failed",cancelled:"Cancelled",stopped:"Ended by a stop or a reload of the line"}[job.state];
  else text={done:job.role==="shadow"?"Done: it is judged beside the one in use":"Done: it is in use, on trial",failed:"It failed",cancelled:"Cancelled: nothing was changed",stopped:"Ended by a stop or a reload of the line: nothing was changed"}[job.state];
 }
 $("state").textContent=text;$("main").className=at?"busy":"";
 // Said aloud once, and not each percent.
 if(ran&&!at)tell(text,job.state==="done");
 ran=at;
 $("about").textContent=job?.what==="judge"?"A version judged the marked frames, begun "+new Date(job.begun).toLocaleString([],{hourCycle:"h23"}):job?(job.what==="teach"?"Taught anew":"Recalibrated")+" with "+(job.frames==="marks"?"the frames marked as good":job.count+" frames of the camera"+(job.defects?", of which the bundle in use took "+job.defects+" for defects":""))+", begun "+new Date(job.begun).toLocaleString([],{hourCycle:"h23"}):"";
 $("bar").hidden=!at;
 if(percent==null||percent<0)$("bar").removeAttribute("value");else $("bar").value=percent;
 $("failed").hidden=!job?.problem;$("failed").textContent=job?.problem??"";
 $("cancel").hidden=!at;$("cancel").disabled=busy||!state.may_teach;
 $("next").hidden=job?.state!=="done";
 const lines=job&&!at?rows(job):[];
 $("result").hidden=!lines.length;$("rows").textContent="";
 for(const line of lines){const row=document.createElement("tr");line.forEach((cell,i)=>{const e=document.createElement(i?"td":"th");if(!i)e.scope="row";e.textContent=cell;row.append(e)});$("rows").append(row)}
 $("warned").hidden=!job?.warned;
 if(job?.warned){
  $("how-many").textContent=job.warned+(job.warned===1?" warning":" warnings")+(job.warned>job.warnings.length?", the first "+job.warnings.length+":":":");
  $("warnings").textContent="";for(const one of job.warnings){const li=document.createElement("li");li.textContent=one;$("warnings").append(li)}
 }
 choose();
}
async function look(){
 clearTimeout(timer);
 try{state=await ask("teaching");if($("told").textContent===LOST)tell("");show()}catch(e){tell(e.message)}
 timer=setTimeout(look,running(state?.job)?1000:5000);
}
async function order(body){
 busy=true;choose();tell("");
 try{state=await post("teaching",state.program,body)}catch(e){tell(e.message)}
 busy=false;show();
 clearTimeout(timer);timer=setTimeout(look,1000);
}
form.onsubmit=event=>{
 event.preventDefault();
 const body={do:"start",of:state.active,what:chosen("what"),frames:chosen("frames"),role:chosen("role")};
 if(body.frames==="camera"){body.count=+$("count").value;body.every_s=+$("every").value}
 order(body);
};
form.oninput=choose;
$("cancel").onclick=()=>order({do:"cancel"});
look();
